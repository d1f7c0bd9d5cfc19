"""The model side: base models, training and answering. Knows neither HTTP nor the database."""
