// `npm run bench:gateway`: the gateway beside a bare proxy, a framework and a peer, under the same loads in the same minutes; then its behaviour under stress.
import { writeFile } from 'node:fs/promises';
import { arch, cpus, platform, totalmem } from 'node:os';
import { join } from 'node:path';
import { cases, medians, runCase } from './cases.mjs';
import { judgeRatios } from './goals.mjs';
import { readOptions } from './options.mjs';
import { openAll } from './participants.mjs';
import { hasPortkey, installPortkey } from './peers/portkey.mjs';
import { Child, cores } from './process.mjs';
import { describeProfile } from './profile.mjs';
import { stressRows } from './rows/index.mjs';
import { caseTable, goalsTable } from './table.mjs';

const options = readOptions();
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
const here = import.meta.dirname;
const chosen = cases.filter(
  ({ id, rows }) => options.everything || options.cases?.includes(id) || rows.some((row) => options.rows.includes(row)),
);
const machine = {
  platform: platform(),
  arch: arch(),
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memoryBytes: totalmem(),
  node: process.version,
};
const result = { machine, options, cases: {}, rows: {}, goals: [] };
const closers = [];

async function measureCases() {
  if (options.installPeers && !hasPortkey(options.portkeyDir)) await installPortkey(options.portkeyDir);
  const upstream = new Child(join(here, 'mock/upstream.mjs'), { where: cores.rest });
  closers.push(async () => await upstream.end());
  const port = await upstream.ask('listen');
  const generator = new Child(join(here, 'load/generator.mjs'), { where: cores.rest });
  closers.push(async () => await generator.end());
  const open = await openAll({ names: options.only, upstream: port, portkeyDir: options.portkeyDir, profile: options.profile, say });
  for (const one of Object.values(open)) closers.push(async () => await one.end());
  const rounds = {};
  for (const one of chosen) {
    say(one.title);
    rounds[one.id] = await runCase({
      one,
      open,
      generator,
      rounds: options.rounds,
      warmMs: options.warmMs,
      windowMs: options.windowMs,
      say,
    });
    const figures = medians(rounds[one.id]);
    result.cases[one.id] = { title: one.title, stream: one.ask.stream === true, medians: figures, rounds: rounds[one.id] };
    console.log(`\n${one.title}\n\n${caseTable(result.cases[one.id], figures)}`);
    await save();
  }
  result.goals.push(...judgeRatios(rounds, options.rows));
  if (options.profile && open.serin) {
    await open.serin.gateway.end('SIGTERM');
    const profile = await open.serin.gateway.readProfile();
    if (profile) {
      say(`profile of the gateway\n${describeProfile(profile)}`);
      await writeFile(`${options.json}.cpuprofile`, JSON.stringify(profile));
    }
  }
}

/** After every part: an interrupted run keeps what it has. */
async function save() {
  await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
}

async function closeAll() {
  for (const close of closers.splice(0).reverse()) await close().catch((error) => say(error.message));
}

try {
  if (chosen.length > 0) await measureCases();
} finally {
  await closeAll();
}
for (const row of stressRows) {
  if (!options.rows.includes(row.row)) continue;
  say(row.title);
  try {
    const { goals, ...figures } = await row.run({ quick: options.quick, say });
    result.rows[row.row] = figures;
    result.goals.push(...goals);
  } catch (error) {
    say(`${row.title} failed: ${error.stack}`);
    process.exitCode = 1;
  }
  await save();
}
result.goals.sort((a, b) => a.row - b.row);
await save();
if (result.goals.length > 0) console.log(`\n${goalsTable(result.goals)}`);
console.log(`\nwritten to ${options.json}`);
