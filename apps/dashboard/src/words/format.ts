// Numbers and times as people read them. Pure: the present is an argument.

/** Share as signed percent, written as the server's sentences do: 0.0712 -> "+7.1%", 8.12 -> "+812%", -0.03 -> "−3.0%". */
export function signedPercent(share: number): string {
  return `${signed(share)}%`;
}

/** Difference of shares as signed percentage points: 0.012 -> "+1.2 points". */
export function signedPoints(share: number): string {
  return `${signed(share)} points`;
}

/** A bound that somebody chose, without the digits of a measurement: 0.15 -> "+15%"; with `sign` "±15%". */
export function boundText(value: number, unit: 'ratio' | 'points', sign = value < 0 ? '−' : '+'): string {
  return `${sign}${grouped(String(Number(Math.abs(value * 100).toFixed(2))))}${unit === 'points' ? ' points' : '%'}`;
}

/** By the unit of a finding. */
export function effectText(value: number, unit: 'ratio' | 'points'): string {
  return unit === 'points' ? signedPoints(value) : signedPercent(value);
}

function signed(share: number): string {
  const value = Math.abs(share * 100);
  const digits = value >= 100 || value === 0 ? 0 : value >= 0.95 ? 1 : 2;
  const text = value.toFixed(digits);
  if (Number(text) === 0) return '0';
  return `${share < 0 ? '−' : '+'}${grouped(text)}`;
}

/** Percent of traffic without needless digits: 12.5 -> "12.5%", 50 -> "50%". */
export function weight(weightPct: number): string {
  return `${Number(weightPct.toFixed(2))}%`;
}

/** 12345 -> "12,345". */
export function count(value: number): string {
  return grouped(String(Math.round(value)));
}

function grouped(text: string): string {
  return text.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** Length of time, two units at most: "42 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". Below zero counts as zero. */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return joined(minutes, 'min', s % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return joined(hours, 'h', minutes % 60, 'min');
  return joined(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function joined(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** "just now", "42 s ago", "3 min ago", "2 d ago": one unit, rounded down. */
export function ago(at: number, now: number): string {
  const s = Math.floor((now - at) / 1000);
  if (s < 2) return 'just now';
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86_400)} d ago`;
}

/** Local time of day to the second. */
export function timeOfDay(at: number): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
}

/** Local date and time. */
export function localTime(at: number): string {
  return new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

/** For title attributes: "2026-03-24 02:51:07.120 UTC". */
export function utcTime(at: number): string {
  return `${new Date(at).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}
