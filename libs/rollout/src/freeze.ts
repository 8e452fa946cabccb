// When nothing goes forward: weekly windows and single ones, in UTC, from the instant alone.
import { type FreezeWindow, weekdays } from './plan.js';

const minuteMs = 60_000;
const dayMinutes = 1_440;
const weekMinutes = 7 * dayMinutes;
const dayMs = 86_400_000;

/** "22:30" -> 1350. */
function minuteOf(clock: string): number {
  const [hours, minutes] = clock.split(':');
  return Number(hours) * 60 + Number(minutes);
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** The weekly windows as half-open spans of minutes since Sunday 00:00 UTC; one that passes the week's end is two. */
function weeklySpans(windows: readonly FreezeWindow[]): Span[] {
  return windows.flatMap((window) => {
    if ('start' in window) return [];
    const from = minuteOf(window.from);
    const to = minuteOf(window.to);
    const lasts = to > from ? to - from : to + dayMinutes - from;
    return window.days.flatMap((day) => {
      const start = weekdays.indexOf(day) * dayMinutes + from;
      const end = start + lasts;
      return end <= weekMinutes
        ? [{ start, end }]
        : [
            { start, end: weekMinutes },
            { start: 0, end: end - weekMinutes },
          ];
    });
  });
}

/** When the freeze that covers `now` is over; null when none does. Windows that touch count as one. `always`: the weekly ones leave no minute free. */
export function freezeOf(windows: readonly FreezeWindow[], now = 0): { readonly until: number | null; readonly always: boolean } {
  const weekly = weeklySpans(windows);
  const single = windows.filter((window) => 'start' in window);
  const always = reach(0, weekly) >= weekMinutes;
  if (always) return { until: Number.POSITIVE_INFINITY, always };
  let at = now;
  for (let end = endOf(at, weekly, single); end > at; end = endOf(at, weekly, single)) at = end;
  return { until: at > now ? at : null, always };
}

/** How far unbroken spans lead from a minute. */
function reach(from: number, spans: readonly Span[]): number {
  let at = from;
  for (let next = at; ; at = next) {
    for (const { start, end } of spans) if (start <= at && end > next) next = end;
    if (next === at) return at;
  }
}

function endOf(at: number, weekly: readonly Span[], single: readonly Span[]): number {
  // The epoch began on a Thursday, four days after Sunday.
  const weekStart = Math.floor((at + 4 * dayMs) / (7 * dayMs)) * 7 * dayMs - 4 * dayMs;
  const minute = (at - weekStart) / minuteMs;
  const week = weekStart + reach(minute, weekly) * minuteMs;
  return single.reduce((latest, { start, end }) => (start <= at && end > latest ? end : latest), week);
}
