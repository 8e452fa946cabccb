// `npm run bench:faults`: real faults of real models through the whole product: which check finds each, after how many answers, in shadow or live; and
// that changes which harm nobody alarm nobody.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Random } from '../decision/random.mjs';
import { sleep } from '../gateway/clock.mjs';
import { table } from '../gateway/table.mjs';
import { faults, fronted, harmless, stableSpec } from './cast.mjs';
import { openFront } from './front.mjs';
import { bundledPrompts, openStage, testSet, Users } from './stage.mjs';

const { values } = parseArgs({
  options: { json: { type: 'string', default: 'bench-faults.json' }, only: { type: 'string' }, limit: { type: 'string', default: '150' } },
});
const limitS = Number(values.limit);
const say = (text) => console.error(`${new Date().toISOString().slice(11, 19)} ${text}`);
const random = new Random(7);
const uniform = () => random.uniform();

const livePlan = {
  steps: [{ weightPct: 30, minS: 60, minResponses: 200, deadlineS: 600 }],
  // Proven is proven: the trial ends there, so that stable stays what it was.
  bakeS: 1e6,
  checks: { latency: { blockS: 3, settleS: 3, proofBlocks: 10 } },
  reference: { minResponses: 500, minPerClass: 100, waitS: 300 },
  noDataLimitS: 120,
};
const shadowPolicy = { share: 0.5, concurrentRequests: 4, tokensPerSecond: 20_000, minPairs: 150 };

const stage = await openStage(say);
const { admin, gatewayUrl, key } = stage;
const open = [];
try {
  await admin.call('POST', '/api/v1/test-sets', { name: 'support-answers' });
  await admin.call('POST', '/api/v1/test-sets/support-answers/versions', await testSet(), 'application/x-ndjson');
  // Behind the fronts stands a model of its own: requests that pass them must not count for the model in front.
  await install('behind', 'v1', stableSpec);
  await admin.call('POST', '/api/v1/models/behind/versions', {
    label: 'v4',
    spec: { ...stableSpec, engine: { ...stableSpec.engine, file: 'demo-support-v4-rounded.gguf' } },
  });
  const behind = { gatewayUrl, key, model: 'behind', label: 'v1', random: uniform };
  const sound = await openFront(behind);
  const harmed = await openFront(behind);
  open.push(sound, harmed);
  await install('support', 'v1', stableSpec);
  await install('fronted', 'v1', fronted(sound.url));
  const prompts = await bundledPrompts();
  const rows = [];
  const cast = [...faults.map((one) => ({ ...one, expected: 'found' })), ...harmless.map((one) => ({ ...one, expected: 'quiet' }))];
  let serial = 1;
  for (const one of cast.filter(({ name }) => values.only === undefined || name.includes(values.only))) {
    const model = one.front ? 'fronted' : 'support';
    const users = new Users({ gatewayUrl, key, model, prompts, clients: 4 });
    open.push({ close: async () => await users.stop() });
    serial += 1;
    const label = `c${serial}`;
    if (one.front) harmed.harm(one.front);
    const spec = one.front ? { ...fronted(harmed.url), engine: { ...fronted(harmed.url).engine, maxConcurrent: 100 + serial } } : one.spec;
    await admin.call('POST', `/api/v1/models/${model}/versions`, { label, spec });
    const row = { name: one.name, expected: one.expected };
    if (one.expected === 'found') {
      if (!process.env.NO_SHADOW)
        row.shadow = await tried(one, model, label, { ...livePlan, shadow: shadowPolicy }, users, { onlyShadow: true, sound, harmed });
      if (one.gate)
        row.gate = await tried(one, model, label, { ...livePlan, gate: { testSet: 'support-answers' } }, users, { sound, harmed });
    }
    const plan = {
      ...livePlan,
      ...(one.shadow ? { shadow: shadowPolicy } : {}),
      ...(one.gate && one.expected === 'quiet' ? { gate: { testSet: 'support-answers' } } : {}),
    };
    row.live = await tried(one, model, label, plan, users, { sound, harmed });
    rows.push(row);
    say(`${one.name}: ${JSON.stringify(row)}`);
    await users.stop();
  }
  console.log(report(rows));
  await writeFile(values.json, `${JSON.stringify({ rows }, null, 1)}\n`);
  say(`written to ${values.json}`);
} finally {
  for (const one of open.reverse()) await one.close();
  await stage.close();
}

async function install(model, label, spec) {
  await admin.call('POST', '/api/v1/models', { name: model });
  await admin.call('POST', `/api/v1/models/${model}/versions`, { label, spec });
  await admin.call('PATCH', `/api/v1/models/${model}`, { stable: 'v1' });
}

/** One rollout until it ends, asks, or shows nothing within the limit; what ended it. */
async function tried(one, model, candidate, plan, users, { onlyShadow = false, sound, harmed }) {
  const { id } = await admin.call('POST', `/api/v1/models/${model}/rollouts`, { candidate, plan });
  const startedMs = Date.now();
  let changed = false;
  let seen = null;
  try {
    for (;;) {
      await sleep(500);
      const rollout = await admin.rollout(id);
      const { phase } = rollout;
      const evidence = await admin.newestEvidence(id);
      const elapsedS = (Date.now() - startedMs) / 1000;
      seen = { phase, served: evidence?.counts.candidate ?? 0, pairs: evidence?.shadow?.pairs ?? null, elapsedS: Math.round(elapsedS) };
      if (!changed && one.during && phase === 'progressing' && elapsedS > 15) {
        changed = true;
        if (one.during === 'mix') users.kinds = ['faq', 'reply'];
        if (one.during === 'slow') for (const front of [sound, harmed]) front.harm(() => ({ delayMs: 20 }));
      }
      if (['rolledBack', 'aborted', 'baking', 'promoted', 'paused'].includes(phase)) {
        return {
          ...seen,
          code: rollout.reason?.code ?? null,
          check: rollout.reason?.check ?? null,
          direction: rollout.reason?.direction ?? null,
        };
      }
      if (onlyShadow && phase === 'progressing') return { ...seen, code: 'passed' };
      if (elapsedS > limitS) return { ...seen, code: 'nothing' };
    }
  } finally {
    if (one.during === 'mix') users.kinds = null;
    if (one.during === 'slow') for (const front of [sound, harmed]) front.harm(() => ({}));
    const { phase } = await admin.rollout(id);
    if (!['rolledBack', 'aborted', 'promoted'].includes(phase)) {
      await admin.call('POST', `/api/v1/rollouts/${id}/abort`, { reason: 'the trial is over' });
      while (!['rolledBack', 'aborted', 'promoted'].includes((await admin.rollout(id)).phase)) await sleep(250);
    }
  }
}

function report(rows) {
  const found = (trial) => {
    if (!trial) return '-';
    const what = [trial.code, trial.check, trial.direction].filter((word) => word).join(' ');
    const after = trial.pairs ? `${trial.pairs} pairs` : `${trial.served} answers`;
    return `${trial.phase}: ${what} after ${after}`;
  };
  const bad = rows.filter(({ expected }) => expected === 'found');
  const good = rows.filter(({ expected }) => expected === 'quiet');
  return [
    table(
      ['fault', 'shadow', 'gate', 'live'],
      bad.map(({ name, shadow, gate, live }) => [name, found(shadow), found(gate), found(live)]),
      4,
    ),
    table(
      ['harmless change', 'live', ''],
      good.map(({ name, live }) => [name, found(live), live.phase === 'rolledBack' ? 'ALARMED' : 'quiet']),
      3,
    ),
  ].join('\n\n');
}
