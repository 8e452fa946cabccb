// What the gateway has to reach, and whether it did. Ratios are taken within a round, where both had the same neighbours; their median is judged.
import { median } from '../engine/measure.mjs';

/** The goals that are ratios of two participants in one case. */
const ratios = [
  { row: 1, case: '2k-64', goal: 'CPU per request, 2 KB / raw undici', over: 'serin', under: 'undici', of: 'cpuUsPerRequest', atMost: 1.2 },
  {
    row: 2,
    case: '50k-64',
    goal: 'CPU per request, 50 KB / raw undici',
    over: 'serin',
    under: 'undici',
    of: 'cpuUsPerRequest',
    atMost: 1.25,
  },
  { row: 3, case: '2k-64', goal: 'requests/s, 2 KB / Portkey', over: 'serin', under: 'portkey', of: 'requestsPerS', atLeast: 12 },
  {
    row: 4,
    case: 'paced-384',
    goal: 'CPU per chunk, 384 paced streams / raw undici',
    over: 'serin',
    under: 'undici',
    of: 'cpuUsPerEvent',
    atMost: 1.05,
  },
  {
    row: 5,
    case: 'logprobs-32',
    goal: 'CPU per chunk with top-20 entropy / entropy off',
    over: 'serin',
    under: 'serin-share-0',
    of: 'cpuUsPerEvent',
    atMost: 1.15,
  },
  {
    row: 6,
    case: 'paced-128',
    goal: 'time to first chunk p99, 128 paced / raw undici',
    over: 'serin',
    under: 'undici',
    of: 'firstP99Ms',
    atMost: 1.1,
  },
];

/** Each line: the goal in words, the figure that is judged, how far the rounds lay apart, and whether it is met; null = not measured. */
export function line(row, goal, value, { atMost, atLeast, least = null, most = null }) {
  const met = value === null ? null : atMost !== undefined ? value <= atMost : value >= atLeast;
  return { row, goal: `${goal} ${atMost !== undefined ? `<= ${atMost}` : `>= ${atLeast}`}`, value, least, most, met };
}

/** Ratio round by round. */
export function ratiosOf(rounds, over, under, column) {
  return (rounds[over] ?? []).flatMap((result, at) => {
    const other = rounds[under]?.[at]?.[column];
    return other && result[column] !== null ? [result[column] / other] : [];
  });
}

/** `rounds` by case id. Only rows that were asked for. */
export function judgeRatios(rounds, rows) {
  return ratios
    .filter(({ row }) => rows.includes(row))
    .map(({ row, goal, case: id, over, under, of, ...limit }) => {
      const values = ratiosOf(rounds[id] ?? {}, over, under, of);
      const range = values.length === 0 ? {} : { least: Math.min(...values), most: Math.max(...values) };
      return line(row, goal, median(values), { ...limit, ...range });
    });
}
