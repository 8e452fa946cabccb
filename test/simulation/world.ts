// One seed: controllers of the product's own code on the model store, a candidate that may turn bad, people who give commands, crashes; and what must hold.
import { type Crash, LookRound, Reconciler, RolloutMemory, Ticker } from '#apps/controller';
import { fitScores } from '#libs/analysis';
import { isTerminal, mayFollow, type OperatorCommand } from '#libs/rollout';
import type { GatewayRow } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import { anArmWindow } from '../support/live-rollout.js';
import { plan } from '../support/rollout.js';
import { type Bug, ModelStore, type Row, type State, tableOf } from './model-store.js';
import { Schedule } from './schedule.js';

const log = createLog('simulation', 'silent');
const scores = fitScores([anArmWindow({ id: 'r', stableId: 's', candidateId: 'c' }, 'stable', 0, 600, 1)], {
  minResponses: 1,
  minPerClass: 1,
});
const faultyMs = 20_000;
const endMs = 35_000;
const kinds: readonly OperatorCommand['kind'][] = ['pause', 'resume', 'promote', 'rollback', 'abort'];

/** What broke first, null when nothing did; and what happened, as a number. */
export interface Run {
  readonly violation: string | null;
  readonly trace: number;
}

export async function simulate(seed: number, bug: Bug = 'none'): Promise<Run> {
  const schedule = new Schedule(seed);
  let violation: string | null = null;
  const broke = (what: string): void => {
    violation ??= `${schedule.monotonicMs()} ms: ${what}`;
  };
  const badAtMs = schedule.uniform() < 0.6 ? schedule.uniform() * faultyMs : Number.POSITIVE_INFINITY;
  const gateways = (): GatewayRow[] => {
    const candidate = schedule.monotonicMs() >= badAtMs ? 'failed' : 'ready';
    const report = (state: 'failed' | 'ready') => ({ state, reason: null, crashes: 0, pid: null });
    const engines = { s: report('ready'), c: report(candidate) };
    const table = store.state.table;
    return [
      {
        id: 'g',
        bootId: 'b',
        incarnation: table.incarnation,
        generation: table.generation,
        engines,
        droppedWindows: 0,
        address: null,
        seenAt: schedule.now(),
        live: true,
      },
    ];
  };
  const store: ModelStore = new ModelStore(
    schedule,
    beginning(schedule.now()),
    bug,
    { failure: 0, lostReply: 0 },
    gateways,
    (before, after) => {
      schedule.note(`${after.rollout.phase.phase}${after.rollout.revision}${after.rollout.leaseOwner}`);
      judge(before, after, broke);
    },
  );
  // Each seed has its own mix of faults.
  const swarm = {
    failure: schedule.uniform() < 0.5 ? 0.03 : 0,
    lostReply: schedule.uniform() < 0.5 ? 0.3 : 0,
    crash: schedule.uniform() < 0.6 ? 0.02 : 0,
    pause: schedule.uniform() < 0.5 ? 0.05 : 0,
  };
  store.faults = swarm;
  const healed = (): boolean => schedule.monotonicMs() >= faultyMs;
  let names = 0;
  const startController = (): void => {
    names += 1;
    const name = `controller-${names}`;
    let alive = true;
    const crash: Crash = async () => {
      if (healed()) return;
      // Stopped and continued (SIGSTOP): it goes on with what it knew, long after its lease ran out.
      if (schedule.uniform() < swarm.pause) await schedule.sleep(3_000 + schedule.uniform() * 6_000);
      if (schedule.uniform() >= swarm.crash) return;
      alive = false;
      schedule.note(`${name} dies`);
      schedule.at(schedule.monotonicMs() + schedule.uniform() * 4_000, startController);
      await new Promise<never>(() => undefined);
    };
    const { database, stores } = store.door(() => alive);
    const settings = { values: { publicUrl: 'http://serin' } } as never;
    const memory = new RolloutMemory(stores);
    const reconciler = new Reconciler(database, stores, settings, crash);
    const round = new LookRound(database, stores, memory, reconciler, schedule, { uuid: () => name }, log, crash);
    new Ticker(round, schedule, log).start();
  };
  startController();
  startController();
  const person = store.door(() => true);
  const asked: number[] = [];
  for (let one = 0; one < 3; one += 1) {
    const kind = kinds[Math.floor(schedule.uniform() * kinds.length)] ?? 'pause';
    schedule.at(2_000 + schedule.uniform() * (faultyMs - 2_000), () => {
      void person.stores.rollouts
        .setCommand(person.database.manager, 'r', { kind, reason: 'because', actor: 'ada' })
        .then((taken) => {
          if (taken as unknown as boolean) asked.push(store.state.events.length);
        })
        .catch(() => undefined);
    });
  }
  schedule.at(faultyMs, () => {
    store.faults = { failure: 0, lostReply: 0 };
  });
  await schedule.run(endMs);
  atTheEnd(store.state, Number.isFinite(badAtMs), asked, schedule.now(), broke);
  return { violation, trace: schedule.trace };
}

function beginning(at: number): State {
  const rollout: Row = {
    id: 'r',
    model: 'support',
    modelId: 'm',
    stableVersionId: 's',
    candidateVersionId: 'c',
    stableLabel: 's',
    candidateLabel: 'c',
    plan,
    phase: { phase: 'pending', since: at },
    weight: 0,
    epoch: 0,
    epochSince: at,
    salt: 'ab',
    scores,
    command: null,
    generation: 1,
    revision: 0,
    leaseOwner: null,
    leaseEpoch: 0,
    leaseUntil: 0,
    nextLookAt: at,
    createdBy: 'ada',
    createdAt: at,
    endedAt: null,
  };
  const state = { rollout, epochs: [{ epoch: 0, weight: 0, controlWeight: 0, since: at }], events: [], outbox: [], stableVersionId: 's' };
  return { ...state, table: tableOf(state, 1) };
}

/** After every commit. */
function judge(before: State, after: State, broke: (what: string) => void): void {
  const { rollout: was } = before;
  const { rollout: is } = after;
  if (isTerminal(was.phase) && is.phase !== was.phase) broke(`${was.phase.phase} was left for ${is.phase.phase}`);
  if (!mayFollow(was.phase.phase, is.phase.phase)) broke(`${was.phase.phase} became ${is.phase.phase}`);
  if (is.revision < was.revision) broke('a revision went back');
  if (isTerminal(is.phase) !== (is.endedAt !== null)) broke('a phase and the end of its rollout disagree');
  if (is.leaseOwner !== was.leaseOwner && is.leaseOwner !== null) {
    if (is.leaseEpoch !== was.leaseEpoch + 1) broke('a lease changed hands within one epoch');
    if (was.leaseUntil > is.leaseUntil - 5_000) broke('a lease was taken before it had run out');
  }
  if (is.phase !== was.phase) {
    if (after.events.length !== before.events.length + 1) broke('a decision without its one event');
    if (after.outbox.length !== before.outbox.length + 1) broke('a decision without its one message');
    if (after.table.generation !== before.table.generation + 1) broke('a decision without a new generation');
    if (!after.events.at(-1)?.evidence) broke('a decision without its evidence');
    const route = after.table.routes[0];
    if ((route?.rollout?.weight ?? 0) !== is.weight) broke('the table and the row disagree about the weight');
    if (is.weight !== was.weight && is.epoch !== was.epoch + 1) broke('a weight changed within one epoch');
    if (is.command !== null && is.command === was.command) broke('a command outlived the decision that obeyed it');
    const serves = is.phase.phase === 'promoted' ? 'c' : 's';
    if (route?.stable !== serves) broke(`${is.phase.phase}, and ${route?.stable} serves`);
  }
}

/** All faults are over for longer than a lease and a tick (P14). */
function atTheEnd({ rollout, events }: State, bad: boolean, asked: readonly number[], now: number, broke: (what: string) => void): void {
  if (rollout.command !== null) broke('a command was never answered');
  const ended = isTerminal(rollout.phase);
  if (bad && !ended) broke(`the candidate failed and the rollout is ${rollout.phase.phase}`);
  if (!ended && now - rollout.nextLookAt > 6_000) broke('nobody looks any more');
  if (rollout.phase.phase === 'pending') broke('never started');
  if (asked.length > 0 && !ended && !events.some(({ reason }) => ['operator', 'command.refused', 'command.done'].includes(reason.code)))
    broke('a command was taken and nothing came of it');
}
