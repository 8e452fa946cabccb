// What the command line may say.
import { parseArgs } from 'node:util';

export const allRows = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11];

const usage = `npm run bench:gateway -- [options]
  --quick              one short round of everything: does it run, not how fast
  --rows 1,4           only what these goals need, of ${allRows.join(', ')} (10: npm run soak:gateway, 12: bench:rollback and bench:steady)
  --cases 2k-64,...    also (or only) these loads, goal or not
  --only serin,undici  participants: direct, node-http, undici, nest, portkey, serin
  --rounds 5           repetitions; the median of the ratios within a round is judged
  --window 3           seconds that are measured per run
  --portkey DIR        where Portkey's gateway is installed (default .cache/bench/peers)
  --install-peers      installs it there by npm, if it is not
  --profile            also a CPU profile of the gateway: top self times on stderr, all of it in FILE.cpuprofile; figures are then
                       those of a profiled process
  --json FILE          result (default bench-gateway.json)`;

function list(text) {
  return text.split(',').filter(Boolean);
}

function count(name, text) {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes a number above 0, not ${text}`);
  return value;
}

/** Ends the process with the usage when an option is unknown or makes no sense. */
export function readOptions(args = process.argv.slice(2)) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        quick: { type: 'boolean', default: false },
        rows: { type: 'string' },
        cases: { type: 'string' },
        only: { type: 'string', default: 'direct,node-http,undici,nest,portkey,serin' },
        rounds: { type: 'string' },
        window: { type: 'string' },
        portkey: { type: 'string', default: '.cache/bench/peers' },
        'install-peers': { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
        json: { type: 'string', default: 'bench-gateway.json' },
      },
    });
    const { quick } = values;
    const rows = values.rows === undefined ? (values.cases === undefined ? allRows : []) : list(values.rows).map(Number);
    const unknown = rows.find((row) => !allRows.includes(row));
    if (unknown !== undefined) throw new Error(`--rows knows ${allRows.join(', ')}, not ${unknown}`);
    return {
      quick,
      rows,
      /** Null: those that the rows need, and with all rows every case. */
      cases: values.cases === undefined ? null : list(values.cases),
      everything: values.rows === undefined && values.cases === undefined,
      only: list(values.only),
      rounds: count('rounds', values.rounds ?? (quick ? '1' : '5')),
      windowMs: count('window', values.window ?? (quick ? '1' : '3')) * 1_000,
      warmMs: quick ? 400 : 700,
      portkeyDir: values.portkey,
      installPeers: values['install-peers'],
      profile: values.profile,
      json: values.json,
    };
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}
