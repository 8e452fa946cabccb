// Figures of the runs as tables: shares of false rollbacks, medians until a true one, and the goals they are held to.
import { number, table } from '../gateway/table.mjs';

const names = [
  ['serin', 'Serin, all checks, default plan'],
  ['serin entropy', 'Serin, entropy alone, no margin'],
  ['serin errors', 'Serin, errors alone, no margin'],
  ['argo entropy', 'entropy +-20% a minute, failureLimit 0'],
  ['flagger entropy', 'the same, five failures'],
  ['kayenta entropy', 'Mann-Whitney on minute means of entropy'],
  ['t-test entropy', 'repeated t-test on entropy, p < 0.01'],
  ['mSPRT entropy', 'mSPRT on entropy, 1%'],
  ['argo errors', '> 1% errors a minute, failureLimit 0'],
  ['flagger errors', 'the same, five failures'],
  ['kayenta errors', 'Mann-Whitney on minute shares of errors'],
  ['t-test errors', 'repeated z-test on errors, p < 0.01'],
  ['mSPRT errors', 'mSPRT on errors, 1%'],
  ['SPRT', 'the limit: SPRT that knows both laws'],
];

const pct = (share) => (share === 0 ? '0' : `${(100 * share).toFixed(share < 0.1 ? 2 : 0)}%`);
const shareOf = (results, name) => (results.length === 0 ? null : results.filter((one) => one[name]).length / results.length);

/** Rows: rules. Columns: settings. */
export function falseRollbacks(all) {
  if (all.length === 0) return '';
  const head = [
    'healthy candidate: taken back',
    ...all.map(({ setting: { rate, weight, queues } }) => `${rate}/s ${weight * 100}%${queues === 'private' ? ' private' : ''}`),
  ];
  const rows = names
    .filter(([name]) => name in (all[0].results[0] ?? {}))
    .map(([name, title]) => [title, ...all.map(({ results }) => pct(shareOf(results, name)))]);
  return table(head, rows);
}

/** Candidate responses at quantile `q` over all runs, null when fewer runs alarmed. */
export function quantile(results, name, q) {
  const sorted = results.map((one) => one[name]?.candidates ?? Infinity).sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
  return Number.isFinite(value) ? value : null;
}

function effectOf({ effect }) {
  return Object.entries(effect)
    .map(([name, size]) => {
      if (name === 'errors') return `errors ${size * 100}%`;
      if (name === 'tail') return `slowest 1% x${size}`;
      return size < 3 && name === 'entropy' ? `entropy ${size > 1 ? '+' : ''}${Math.round((size - 1) * 100)}%` : `${name} x${size}`;
    })
    .join(', ');
}

/** Rows: effects. Columns: rules; each cell median / p90 of the candidate's responses. */
export function detections(all) {
  if (all.length === 0) return '';
  const kindOf = ({ weight, queues, effect }) => `${weight} ${queues} ${effect.entropy ? 'entropy' : effect.errors ? 'errors' : 'other'}`;
  return [...new Set(all.map(({ setting }) => kindOf(setting)))]
    .map((kind) => {
      const some = all.filter(({ setting }) => kindOf(setting) === kind);
      const [weight, queues, what] = kind.split(' ');
      // A rule that looks at another metric than the one that moved finds it by accident, or not at all.
      const looks = (name) => name === 'serin' || name === 'SPRT' || name.endsWith(` ${what}`);
      const shown = names.filter(([name]) => looks(name) && some.some(({ results }) => name in results[0]));
      const head = [`${Number(weight) * 100}%, ${queues} bursts`, ...shown.map(([, title]) => title)];
      const cell = (results, name) => {
        if (!(name in results[0])) return '';
        const [median, p90] = [0.5, 0.9].map((q) => quantile(results, name, q));
        return median === null ? `- (${pct(shareOf(results, name))})` : `${median} / ${p90 ?? '-'}`;
      };
      return table(
        head,
        some.map(({ setting, results }) => [effectOf(setting), ...shown.map(([name]) => cell(results, name))]),
      );
    })
    .join('\n\n');
}

/** Upper end of the 95% interval of a share by Wilson: what the runs cannot exclude. */
function wilson(hits, n) {
  const z = 1.96;
  const p = hits / n;
  const centre = (p + z ** 2 / (2 * n)) / (1 + z ** 2 / n);
  const half = (z * Math.sqrt((p * (1 - p)) / n + z ** 2 / (4 * n * n))) / (1 + z ** 2 / n);
  return [Math.max(0, centre - half), centre + half];
}

const limits = [
  { effect: { entropy: 1.1 }, rule: 'serin entropy', atMost: 1.8 },
  { effect: { entropy: 1.2 }, rule: 'serin entropy', atMost: 1.8 },
  { effect: { entropy: 0.7 }, rule: 'serin entropy', atMost: 1.8 },
  { effect: { errors: 0.02 }, rule: 'serin errors', atMost: 2.2 },
  { effect: { errors: 0.05 }, rule: 'serin errors', atMost: 2.2 },
  { effect: { errors: 0.2 }, rule: 'serin errors', atMost: 2.2 },
];

/** Peers whose share of false rollbacks stays within what they promise (1%) in every healthy setting. */
function honestPeers(aa) {
  return names
    .map(([name]) => name)
    .filter((name) => !name.startsWith('serin') && name !== 'SPRT')
    .filter(
      (name) => aa.length > 0 && aa.every(({ results }) => wilson(results.filter((one) => one[name]).length, results.length)[0] <= 0.01),
    );
}

export function goalsOf(aa, ab) {
  const rows = aa.map(({ setting: { rate, weight, queues }, results }) => {
    const hits = results.filter((one) => one.serin).length;
    const [low, high] = wilson(hits, results.length);
    return {
      goal: `false rollback, all checks, ${rate}/s ${weight * 100}% ${queues}, at most 1%`,
      value: `${pct(hits / results.length)} (${pct(low)} .. ${pct(high)})`,
      // Within the noise of the runs: the goal is missed only when even the low end lies above.
      met: low <= 0.01,
    };
  });
  const at5 = ab.filter(({ setting }) => setting.weight === 0.05 && setting.queues === 'shared');
  for (const { effect, rule, atMost } of limits) {
    const found = at5.find(({ setting }) => JSON.stringify(setting.effect) === JSON.stringify(effect));
    if (!found) continue;
    const of = (name) => quantile(found.results, name, 0.5);
    const ratio = of(rule) === null ? null : of(rule) / of('SPRT');
    const whole = of('serin') === null ? null : of('serin') / of('SPRT');
    rows.push({
      goal: `${effectOf({ effect })}, 5%: median / SPRT, at most ${atMost}`,
      value: `${number(ratio, 2)} (all checks, default margins: ${number(whole, 2)})`,
      met: ratio !== null && ratio <= atMost,
    });
    const kind = rule.split(' ')[1];
    const faster = honestPeers(aa).filter((name) => name.endsWith(kind) && of(name) !== null && of(rule) !== null && of(name) < of(rule));
    rows.push({
      goal: `${effectOf({ effect })}, 5%: no rule that holds its promise is faster`,
      value: faster.length === 0 ? 'none' : faster.join(', '),
      met: faster.length === 0,
    });
  }
  return {
    rows,
    text: table(
      ['goal', 'measured', 'verdict'],
      rows.map(({ goal, value, met }) => [goal, value, met ? 'met' : 'MISSED']),
      2,
    ),
  };
}
