// Cost of one tick of a controller: npm run bench:tick [-- --rounds 10 --json FILE]. Each rollout has two arms and two gateways that write every second; all are due at once.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { controlStores, LookRound, noCrash, Reconciler, RolloutMemory } from '../../dist/apps/controller/src/index.js';
import { addTo, bucketOf, emptyCounts, emptyHistograms, fitScores } from '../../dist/libs/analysis/src/index.js';
import { systemClock, systemIds } from '../../dist/libs/base/src/index.js';
import { defaultPlan } from '../../dist/libs/rollout/src/index.js';
import { GatewayStore, openDatabase, startEmbeddedPostgres, WindowStore } from '../../dist/libs/storage/src/index.js';
import { createLog } from '../../dist/libs/telemetry/src/index.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, sizes: { type: 'string', default: '10,100,1000' }, json: { type: 'string' } },
});
const rounds = Number(values.rounds);
const sizes = values.sizes.split(',').map(Number);
const answersASecond = 5;
const answers = 4;

let state = 7;
const uniform = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state + 0.5) / 2 ** 32;
};
const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());

function aWindow(rollout, arm, secondAt, n) {
  const histograms = emptyHistograms();
  const typical = { entropy: 0.5, length: 90, ttft: 60, interToken: 9, total: 900, input: 120 };
  for (let one = 0; one < n; one += 1)
    for (const [metric, centre] of Object.entries(typical)) addTo(histograms[metric], bucketOf(centre * Math.exp(0.45 * normal())));
  const counts = { ...emptyCounts(), responses: n, units: n, lnTotalCount: n, lnTotalSum: n * Math.log(900), histograms };
  const versionId = arm === 'candidate' ? rollout.candidateId : rollout.stableId;
  return { key: { model: rollout.model, versionId, rolloutId: rollout.id, epoch: 1, arm, promptClass: 'chat', secondAt }, counts };
}

const plan = { ...defaultPlan, steps: [{ weightPct: 25, minS: 86_400, minResponses: 50, deadlineS: 864_000 }], noDataLimitS: 86_400 };

/** Rollouts on their first step for an hour, as rows. */
async function makeRollouts(database, count) {
  const rollouts = Array.from({ length: count }, (_, index) => ({
    id: randomUUID(),
    modelId: randomUUID(),
    model: `bench-${count}-${index}`,
    stableId: randomUUID(),
    candidateId: randomUUID(),
  }));
  const tx = database.manager;
  const [{ now }] = await tx.query('select extract(epoch from clock_timestamp()) * 1000 as now');
  const at = Math.floor(Number(now));
  const scores = fitScores([aWindow(rollouts[0], 'stable', 0, 2_000)], { minResponses: 500, minPerClass: 500 });
  const column = (field) => rollouts.map((one) => one[field]);
  await tx.query(`insert into models (id, name) select * from unnest($1::uuid[], $2::text[])`, [column('modelId'), column('model')]);
  for (const [field, label] of [
    ['stableId', 'v1'],
    ['candidateId', 'v2'],
  ])
    await tx.query(
      `insert into versions (id, model_id, label, digest, spec, created_by)
       select id, model_id, $3, encode(sha256(id::text::bytea), 'hex'), '{}', 'bench' from unnest($1::uuid[], $2::uuid[]) as t (id, model_id)`,
      [column(field), column('modelId'), label],
    );
  await tx.query(
    `insert into rollouts (id, model_id, stable_version_id, candidate_version_id, plan, phase, state, weight, epoch, salt, scores, created_by, created_at)
     select id, model_id, stable, candidate, $5, 'progressing', $6, 0.25, 1, 'ab', $7, 'bench', now() - interval '1 hour'
     from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) as t (id, model_id, stable, candidate)`,
    [
      column('id'),
      column('modelId'),
      column('stableId'),
      column('candidateId'),
      JSON.stringify(plan),
      JSON.stringify({ phase: 'progressing', step: 0, since: at - 3_600_000 }),
      JSON.stringify(scores),
    ],
  );
  await tx.query(
    `insert into rollout_epochs (rollout_id, epoch, weight, started_at) select unnest($1::uuid[]), 1, 0.25, now() - interval '1 hour'`,
    [column('id')],
  );
  return rollouts;
}

async function report(database, rollouts) {
  const engines = Object.fromEntries(
    rollouts
      .flatMap(({ stableId, candidateId }) => [stableId, candidateId])
      .map((id) => [id, { state: 'ready', reason: null, crashes: 0, pid: 1 }]),
  );
  const [{ incarnation }] = await database.manager.query('select incarnation from routing_table');
  for (const id of ['g1', 'g2'])
    await new GatewayStore().report(database.manager, {
      id,
      bootId: randomUUID(),
      incarnation,
      generation: 1,
      engines,
      droppedWindows: 0,
      address: null,
    });
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];

async function measure(database, count) {
  const rollouts = await makeRollouts(database, count);
  const windows = new WindowStore();
  const boots = [randomUUID(), randomUUID()];
  let asked = { queries: 0, readMs: 0, writeMs: 0 };
  const manager = new Proxy(database.manager, {
    get: (target, field) => {
      if (field !== 'query') return Reflect.get(target, field);
      return async (sql, parameters) => {
        const beganMs = performance.now();
        const rows = await target.query(sql, parameters);
        asked.queries += 1;
        asked[/^\s*select/.test(sql) ? 'readMs' : 'writeMs'] += performance.now() - beganMs;
        return rows;
      };
    },
  });
  const counted = { manager, transaction: async (work) => await database.transaction(work) };
  const stores = controlStores();
  const log = createLog('bench', 'warn');
  const settings = { values: { publicUrl: 'http://bench' } };
  const reconciler = new Reconciler(counted, stores, settings, noCrash);
  const round = new LookRound(counted, stores, new RolloutMemory(stores), reconciler, systemClock, systemIds, log, noCrash);
  let seq = 0;
  const flush = async (secondAt) => {
    seq += 1;
    for (const boot of boots)
      await windows.insert(
        database.manager,
        boot,
        seq,
        rollouts.flatMap((one) => [aWindow(one, 'stable', secondAt, answersASecond), aWindow(one, 'candidate', secondAt, answers)]),
      );
  };
  await report(database, rollouts);
  const now = Math.floor(Date.now() / 1000) * 1000;
  // Taken over first, a few at a time.
  for (let more = true; more; ) ({ more } = await round.run(() => undefined));
  const seen = [];
  for (let one = 0; one < rounds; one += 1) {
    await report(database, rollouts);
    await flush(now + one * 1000);
    await database.manager.query(`update rollouts set next_look_at = now() where ended_at is null and next_look_at > now()`);
    asked = { queries: 0, readMs: 0, writeMs: 0 };
    const told = await round.run(() => undefined);
    if (told.looked !== count || told.held !== count) throw new Error(`looked at ${told.looked} and held ${told.held} of ${count}`);
    seen.push({ ...asked, mergeMs: told.readMs - asked.readMs, judgeMs: told.judgeMs });
  }
  await round.release();
  await database.manager.query(`update rollouts set ended_at = now() where ended_at is null`);
  const of = (field) => median(seen.map((one) => one[field]));
  const worst = Math.max(...seen.map((one) => one.readMs + one.writeMs));
  const ms = (value) => Number(value.toFixed(1));
  return {
    rollouts: count,
    queries: of('queries'),
    readMs: ms(of('readMs')),
    writeMs: ms(of('writeMs')),
    databaseMs: ms(median(seen.map((one) => one.readMs + one.writeMs))),
    worstDatabaseMs: ms(worst),
    mergeMs: ms(of('mergeMs')),
    judgeMs: ms(of('judgeMs')),
  };
}

const dataDir = await mkdtemp(join(tmpdir(), 'serin-bench-tick-'));
const started = await startEmbeddedPostgres({ dataDir, log: createLog('bench-postgres', 'warn') });
if (!started.ok) throw new Error(started.fault.message);
const results = [];
try {
  const database = await openDatabase({ url: started.value.url, applicationName: 'serin-bench', poolSize: 4 });
  await database.migrate();
  await database.transaction(async (tx) => await new WindowStore().ensurePartitions(tx, Date.now()));
  for (const count of sizes) results.push(await measure(database, count));
  await database.close();
} finally {
  await started.value.stop();
  await rm(dataDir, { recursive: true, force: true });
}
console.log(
  `one tick, ${rounds} rounds each, median; two arms, two gateways, ${availableParallelism()} cores, embedded Postgres with fsync\n`,
);
console.table(results);
if (values.json) await writeFile(values.json, `${JSON.stringify({ rounds, results }, null, 2)}\n`);
