// Postgres as the control loop sees it, in memory: serializable transactions with latency, failures before commit, lost replies and deaths of their owner.
import type { ControlDatabase, ControlStores } from '#apps/controller';
import { fail, ok } from '#libs/base';
import { controlWeightOf, deriveTable, isTerminal, type RoutingTable } from '#libs/rollout';
import type { DueRollout, GatewayRow, RolloutEpoch, RolloutEventRecord, RolloutRecord } from '#libs/storage';
import type { Schedule } from './schedule.js';

export interface Row extends RolloutRecord {
  readonly leaseUntil: number;
}

export interface State {
  readonly rollout: Row;
  readonly epochs: readonly RolloutEpoch[];
  readonly events: readonly RolloutEventRecord[];
  readonly outbox: readonly string[];
  readonly table: RoutingTable;
  readonly stableVersionId: string;
}

/** Faults of the model that a test plants in place of the rules of the real store. */
export type Bug =
  | 'none'
  | 'no-compare-and-set'
  | 'lease-epoch-stays'
  | 'lease-taken-early'
  | 'lease-for-ever'
  | 'no-outbox'
  | 'generation-stays'
  | 'epoch-stays'
  | 'command-lost'
  | 'command-stays'
  | 'evidence-lost'
  | 'table-not-derived'
  | 'ended-goes-on'
  | 'stable-not-set'
  | 'hold-overwrites'
  | 'half-written';

export interface Faults {
  readonly failure: number;
  readonly lostReply: number;
}

export class ModelStore {
  private busy: Promise<void> = Promise.resolve();
  /** The transaction that holds the rows. */
  private inside: object | null = null;

  constructor(
    readonly schedule: Schedule,
    public state: State,
    private readonly bug: Bug,
    public faults: Faults,
    private readonly gateways: () => readonly GatewayRow[],
    private readonly onCommit: (before: State, after: State) => void,
  ) {}

  /** What one process reaches it by; `alive` ends its statements in the middle. */
  door(alive: () => boolean): { readonly database: ControlDatabase; readonly stores: ControlStores } {
    const auto = { draft: null as State | null };
    const database = {
      manager: auto,
      transaction: async (work: (tx: unknown) => Promise<unknown>) => await this.transaction(alive, work),
    } as unknown as ControlDatabase;
    return { database, stores: this.stores(alive) };
  }

  private async pass(alive: () => boolean): Promise<void> {
    await this.schedule.sleep(1 + Math.floor(this.schedule.uniform() * 8));
    // Whoever was killed never goes on, and its connection is closed.
    if (!alive()) await new Promise<never>(() => undefined);
    if (this.schedule.uniform() < this.faults.failure) throw new Error('connection lost');
  }

  private commit(after: State): void {
    const before = this.state;
    this.state = after;
    if (before !== after) this.onCommit(before, after);
  }

  private async transaction(alive: () => boolean, work: (tx: unknown) => Promise<unknown>): Promise<unknown> {
    const before = this.busy;
    let release = (): void => undefined;
    this.busy = new Promise((done) => {
      release = done;
    });
    await before;
    const tx = { draft: this.state as State | null, dead: false };
    this.inside = tx;
    const leave = (): void => {
      if (this.inside === tx) this.inside = null;
      release();
    };
    // A connection whose owner died is closed and its transaction undone.
    const guard = this.schedule.at(this.schedule.monotonicMs() + 2_000, () => {
      tx.dead = true;
      leave();
    });
    try {
      const answer = await work(tx);
      await this.pass(alive);
      if (tx.dead) throw new Error('the transaction waited for too long');
      if (this.bug !== 'half-written') this.commit(tx.draft as State);
      if (this.schedule.uniform() < this.faults.lostReply) throw new Error('the reply was lost');
      return answer;
    } finally {
      guard();
      leave();
    }
  }

  /** One statement: in a transaction on its draft, else by itself. */
  private async statement<T>(
    alive: () => boolean,
    tx: unknown,
    change: (state: State) => { readonly next: State; readonly answer: T },
  ): Promise<T> {
    const { draft } = tx as { draft: State | null };
    if (draft === null) await this.busy;
    await this.pass(alive);
    while (draft === null && this.inside !== null) await this.busy;
    const from = draft === null || this.bug === 'half-written' ? this.state : (tx as { draft: State }).draft;
    const { next, answer } = change(from);
    if (draft === null || this.bug === 'half-written') this.commit(next);
    else (tx as { draft: State }).draft = next;
    return answer;
  }

  private stores(alive: () => boolean): ControlStores {
    const { bug } = this;
    const now = (): number => this.schedule.now();
    const read = async <T>(tx: unknown, what: (state: State) => T): Promise<T> =>
      await this.statement(alive, tx, (state) => ({ next: state, answer: what(state) }));
    const write = async (tx: unknown, rollout: (row: Row) => Partial<Row>): Promise<void> =>
      await this.statement(alive, tx, (state) => ({
        next: { ...state, rollout: { ...state.rollout, ...rollout(state.rollout) } },
        answer: undefined,
      }));
    const due = ({ rollout }: State): DueRollout => ({ id: rollout.id, leaseEpoch: rollout.leaseEpoch, revision: rollout.revision });
    const isDue = ({ rollout }: State): boolean => rollout.endedAt === null && (rollout.nextLookAt <= now() || rollout.command !== null);
    const none = async (): Promise<undefined> => undefined;
    const seen = new Map<string, Row>();
    return {
      leases: {
        claim: async (tx: unknown, { owner, leaseMs }: { owner: string; leaseMs: number }) =>
          await this.statement(alive, tx, (state) => {
            const { rollout } = state;
            const free = bug === 'lease-for-ever' ? rollout.leaseOwner === null : rollout.leaseUntil < now() || bug === 'lease-taken-early';
            if (!isDue(state) || !free || rollout.leaseOwner === owner) return { next: state, answer: [] };
            const leaseEpoch = rollout.leaseEpoch + (bug === 'lease-epoch-stays' ? 0 : 1);
            const next = { ...state, rollout: { ...rollout, leaseOwner: owner, leaseUntil: now() + leaseMs, leaseEpoch } };
            return { next, answer: [due(next)] };
          }),
        due: async (tx: unknown, owner: string) =>
          await read(tx, (state) => {
            seen.set(owner, state.rollout);
            return isDue(state) && state.rollout.leaseOwner === owner ? [due(state)] : [];
          }),
        hold: async (tx: unknown, looks: readonly { leaseEpoch: number; revision: number; nextLookAt: number }[], leaseMs: number) => {
          const [look] = looks;
          if (!look) return [];
          await write(tx, (row) => {
            const old = [...seen.values()].at(-1);
            if (bug === 'hold-overwrites' && old) return { ...old, nextLookAt: look.nextLookAt };
            if (row.revision !== look.revision || row.leaseEpoch !== look.leaseEpoch || row.endedAt !== null) return {};
            return { nextLookAt: look.nextLookAt, leaseUntil: Math.max(now(), look.nextLookAt) + leaseMs };
          });
          return [];
        },
        releaseAll: async (tx: unknown, owner: string) =>
          await write(tx, (row) => (row.leaseOwner === owner ? { leaseOwner: null, leaseUntil: 0 } : {})),
      },
      rollouts: {
        many: async (tx: unknown, ids: readonly string[]) => await read(tx, ({ rollout }) => (ids.length > 0 ? [rollout] : [])),
        epochsOf: async (tx: unknown, ids: readonly string[]) =>
          await read(tx, ({ rollout, epochs }) => new Map(ids.length > 0 ? [[rollout.id, [...epochs]]] : [])),
        setGeneration: async (tx: unknown, _id: string, generation: number) => await write(tx, () => ({ generation })),
        commitDecision: async (
          tx: unknown,
          record: RolloutRecord,
          lease: DueRollout,
          change: { next: Row['phase']; weight: number; epoch: number; nextLookAt: number; ended: boolean },
        ) =>
          await this.statement<unknown>(alive, tx, (state) => {
            const row = state.rollout;
            const lost = row.revision !== record.revision || row.leaseEpoch !== lease.leaseEpoch || row.endedAt !== null;
            if (lost && bug !== 'no-compare-and-set')
              return { next: state, answer: fail({ code: 'rollout.revision-lost', message: 'lost' }) };
            const epoch = bug === 'epoch-stays' ? row.epoch : change.epoch;
            const rollout: Row = {
              ...row,
              phase: change.next,
              weight: change.weight,
              epochSince: epoch === row.epoch ? row.epochSince : now(),
              epoch,
              nextLookAt: change.nextLookAt,
              command: bug === 'command-stays' ? row.command : null,
              endedAt: change.ended && bug !== 'ended-goes-on' ? now() : null,
              revision: row.revision + 1,
            };
            const controlWeight = controlWeightOf(change.next, row.plan);
            const epochs =
              epoch === row.epoch ? state.epochs : [...state.epochs, { epoch, weight: change.weight, controlWeight, since: now() }];
            return { next: { ...state, rollout, epochs }, answer: ok({ revision: rollout.revision }) };
          }),
        setCommand: async (tx: unknown, _id: string, command: Row['command']) =>
          await this.statement(alive, tx, (state) => {
            if (state.rollout.endedAt !== null) return { next: state, answer: false };
            const rollout = { ...state.rollout, command: bug === 'command-lost' ? null : command, revision: state.rollout.revision + 1 };
            return { next: { ...state, rollout }, answer: true };
          }),
      },
      routing: {
        mark: async (tx: unknown) => await read(tx, ({ table: { incarnation, generation } }) => ({ incarnation, generation })),
        rebuild: async (tx: unknown) =>
          await this.statement(alive, tx, (state) => {
            const generation = state.table.generation + (bug === 'generation-stays' ? 0 : 1);
            return {
              next: { ...state, table: bug === 'table-not-derived' ? { ...state.table, generation } : tableOf(state, generation) },
              answer: generation,
            };
          }),
      },
      models: {
        setStable: async (tx: unknown, _model: string, versionId: string) =>
          await this.statement(alive, tx, (state) => ({
            next: bug === 'stable-not-set' ? state : { ...state, stableVersionId: versionId },
            answer: undefined,
          })),
      },
      events: {
        append: async (tx: unknown, event: RolloutEventRecord) =>
          await this.statement(alive, tx, (state) => {
            const evidence = bug === 'evidence-lost' ? null : event.evidence;
            const one = { ...event, evidence, id: state.events.length + 1, seq: state.events.length + 1, at: now() };
            return { next: { ...state, events: [...state.events, one] }, answer: one };
          }),
        keepLooks: async () => [],
        thinLooks: none,
      },
      outbox: {
        append: async (tx: unknown, message: { type: string }) =>
          await this.statement(alive, tx, (state) => ({
            next: bug === 'no-outbox' ? state : { ...state, outbox: [...state.outbox, message.type] },
            answer: '',
          })),
      },
      gateways: { list: async (tx: unknown) => await read(tx, () => [...this.gateways()]) },
      windows: {
        instant: async (tx: unknown) => await read(tx, () => ({ snapshot: '1:1:', at: now() })),
        committedBetween: async () => [],
        seenAt: async () => [],
        referenceSizes: async (_tx: unknown, asked: readonly unknown[]) => asked.map(() => 0),
        referenceOf: async () => [],
      },
      evaluations: { gatesOf: async () => new Map(), cancelForRollout: none, request: none },
      audit: { append: none },
      notify: none,
    } as unknown as ControlStores;
  }
}

/** The table that follows from the rows. */
export function tableOf({ rollout, stableVersionId }: Pick<State, 'rollout' | 'stableVersionId'>, generation: number): RoutingTable {
  const version = (id: string) => ({ id, model: rollout.model, label: id, digest: id, spec: {} });
  const live = isTerminal(rollout.phase) ? [] : [rollout];
  const versions = [version(rollout.stableVersionId), version(rollout.candidateVersionId)];
  const body = deriveTable({ models: [{ name: rollout.model, stableVersionId }], rollouts: live, versions, pinnedVersionIds: [] });
  return { incarnation: 'one', generation, ...body };
}
