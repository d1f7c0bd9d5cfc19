// Numbers as people say them.

export const plural = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/** A time in seconds: "less than a minute", "about 3 min", "about 1 h 20 min". */
export function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 45) return "less than a minute";
  if (minutes < 60) return `about ${Math.max(1, minutes)} min`;
  const rest = minutes % 60;
  return `about ${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** How long ago something was. */
export function ago(seconds) {
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${plural(Math.floor(seconds / 86400), "day")} ago`;
}

/** Bytes: "812 B", "3.1 MB". */
export function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; number >= 999.5 && unit < units.length - 1; unit += 1) number /= 1000;
  return `${unit && number < 9.95 ? number.toFixed(1) : Math.round(number)} ${units[unit]}`;
}

/** A loss: three places, fewer for a large one. */
export const loss = (number) => (number == null ? "–" : number.toFixed(number < 10 ? 3 : 1));
