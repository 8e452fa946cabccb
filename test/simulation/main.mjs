// The control loop under simulated faults: npm run simulate -- --seeds 20000 [--from 0]. Ends with 1 and the failing seed when a promise is broken.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '2000' }, from: { type: 'string', default: '0' } } });
const { status } = spawnSync('vitest', ['run', '--project', 'unit', 'test/simulation', '-t', 'every seed'], {
  stdio: 'inherit',
  env: { ...process.env, SIMULATION_SEEDS: values.seeds, SIMULATION_FROM: values.from },
});
process.exitCode = status ?? 1;
