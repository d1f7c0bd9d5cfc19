"""Training on a cluster: find Slurm, write a batch script, submit it, follow the job.

A cluster is many computers with one queue, and Slurm is the program that keeps the queue. Everything here calls
Slurm's own commands, as a person would type them. Where there is no Slurm, each function says so in a sentence,
and the script can be looked at all the same.
"""

from openai_lesson.cluster.batch import Script, script
from openai_lesson.cluster.job import Job, cancel, follow, submit, tail
from openai_lesson.cluster.slurm import Slurm, find

__all__ = ["Job", "Script", "Slurm", "cancel", "find", "follow", "script", "submit", "tail"]
