// Scores of live answers: a sampled few are read by a judge behind everything else, and all of a rollout may be rated by whoever has their ids.
import type { Observation } from '#libs/analysis';
import type { Clock, Rng } from '#libs/base';
import type { QualityScoring, Route } from '#libs/rollout';
import type { Log } from '#libs/telemetry';
import type { Admitted } from '../completions/admit.js';
import type { Deadlines } from '../completions/deadlines.js';
import type { EnginePool } from '../engines/pool.js';
import type { KeptAnswer, KeptAnswers } from '../kept-answers/kept-answers.js';
import type { Recorder } from '../observe/recorder.js';
import type { RoutingFeed } from '../routing/feed.js';
import { routeOf } from '../routing/table-index.js';
import { estimateOf, type Hold, ShadowBudget } from '../shadow/budget.js';
import type { RunningMirror, RunningMirrors } from '../shadow/running-mirrors.js';
import { isScored } from './coin.js';
import { type CallEnd, JudgementCall } from './judgement-call.js';
import { QualityCounts, type QualityFigures, type UnscoredReason } from './quality-counts.js';
import { conversationOf, mostCharacters, questionOf } from './question.js';
import type { RecentAnswers } from './recent-answers.js';

export interface QualityParts {
  readonly feed: Pick<RoutingFeed, 'current'>;
  readonly pool: EnginePool;
  readonly deadlines: Deadlines;
  readonly keptAnswers: KeptAnswers;
  readonly running: RunningMirrors;
  readonly recorder: Pick<Recorder, 'score'>;
  readonly recent: RecentAnswers;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

/** A request whose first version has ended. */
export interface Ended {
  readonly requestId: string;
  readonly admitted: Pick<Admitted, 'route' | 'asked' | 'body' | 'tenant'>;
  /** Null: it leaves none. */
  readonly observation: Observation | null;
  /** What `listen` gave for it. */
  readonly kept: KeptAnswer | null;
}

interface Asking {
  readonly call: JudgementCall;
  readonly running: RunningMirror;
  readonly hold: Hold;
  readonly estimate: number;
}

type Judge = NonNullable<QualityScoring['judge']>;

export class Quality {
  private readonly counts = new QualityCounts();
  private readonly budgets = new Map<string, ShadowBudget>();
  private stopped = false;

  constructor(private readonly parts: QualityParts) {}

  /** Before it is asked: what must hear the answer, for a judge to read it; null: nobody will. */
  listen({ route, assignment, pinned, wishes }: Admitted, requestId: string): KeptAnswer | null {
    const { rollout } = route;
    if (!rollout?.quality?.judge || assignment.arm === null || pinned || wishes.priority !== 'live') return null;
    return isScored(rollout, assignment.arm, requestId) ? this.parts.keptAnswers.keep() : null;
  }

  /** Takes an answer that is compared: for the judge if its coin fell so, and for whoever rates it later. */
  offer(ended: Ended): void {
    const { requestId, admitted, observation, kept } = ended;
    const { rollout } = admitted.route;
    if (!rollout || observation?.arm == null || observation.outcome !== 'ok') return kept?.drop();
    this.parts.recent.remember(requestId, { key: observation, tenant: admitted.tenant, judged: rollout.quality?.feedback === 'judged' });
    const judge = rollout.quality?.judge;
    if (kept && judge) setImmediate(() => this.begin(ended, observation, kept, { rollout, judge }));
    else kept?.drop();
  }

  figures(): QualityFigures {
    return this.counts.read();
  }

  stop(): void {
    this.stopped = true;
  }

  private begin(ended: Ended, observation: Observation, kept: KeptAnswer, by: By): void {
    let asking: Asking | UnscoredReason;
    try {
      asking = this.ask(ended, kept, by);
    } catch (error) {
      this.parts.log.error({ err: error, requestId: ended.requestId }, 'a judgement broke');
      asking = 'broken';
    }
    kept.drop();
    if (typeof asking === 'string') return this.counts.skip(asking);
    this.counts.start();
    this.parts.running.add(asking.running);
    void this.run(asking, observation, ended.requestId);
  }

  /** Whatever decides here looks at the answer and at the load, never at the arm: among the scored the arm stays the coin that it was. */
  private ask({ requestId, admitted }: Ended, kept: KeptAnswer, { rollout, judge }: By): Asking | UnscoredReason {
    const { pool, deadlines, clock, rng, feed, running } = this.parts;
    if (this.stopped) return 'stopping';
    const versionId = this.versionOf(judge);
    const served = versionId === null ? null : pool.find(versionId);
    if (!served?.engine || versionId === null || !pool.serves(versionId)) return 'notServed';
    if (kept.lost) return 'memory';
    // The conversation as the client sent it: a version's own system prompt is no part of what was asked.
    const { systemPrompt: _, ...plain } = served.spec;
    const [first, ...others] = admitted.asked.requests(requestId, plain);
    const answer = kept.text();
    if (!first || others.length > 0 || answer === null) return 'form';
    const conversation = conversationOf(first.prompt);
    if (conversation === null || answer.length > mostCharacters) return 'size';
    const where = {
      kind: 'judge',
      rolloutId: rollout.id,
      stable: versionId,
      candidate: versionId,
      sequences: 1,
      sequencesAtStable: 0,
    } as const;
    if (running.mustWait(where)) return 'live';
    const enforced = served.engine.capabilities().constraints;
    const mark = Buffer.from(rng.bytes(9)).toString('base64url');
    const question = questionOf({ conversation, answer }, { id: `judge-${requestId}`, mark, enforced });
    const ticket = { tenant: `judge ${rollout.id}`, priority: 'shadow', deadlineMs: null } as const;
    const request = { ...question, ticket };
    const { promptTokens, outputTokens } = estimateOf(conversation.length + answer.length + questionBytes, [request]);
    const budget = this.budgetOf(rollout.id);
    const hold = budget.take(judge, feed.current?.gateways ?? 1, { promptTokens, outputTokens }, clock.monotonicMs());
    if (typeof hold === 'string') return hold;
    const call = new JudgementCall({ engine: served.engine, request, deadlines });
    return { call, hold, estimate: promptTokens, running: { ...where, mirror: call } };
  }

  private async run({ call, running, hold, estimate }: Asking, observation: Observation, requestId: string): Promise<void> {
    let end: CallEnd | null = null;
    try {
      end = await call.run();
      if (end.score !== null) this.parts.recorder.score(observation, end.score);
    } catch (error) {
      this.parts.log.error({ err: error, requestId }, 'a judgement broke');
    }
    const tokens = end?.tokens ?? estimate;
    hold.settle(tokens, this.parts.clock.monotonicMs());
    this.parts.running.delete(running);
    this.counts.end(end?.outcome ?? 'failed', tokens);
  }

  private versionOf({ model, version }: Judge): string | null {
    if (version !== undefined) return version;
    const table = this.parts.feed.current?.table;
    return (table && routeOf(table, model)?.stable) ?? null;
  }

  private budgetOf(rolloutId: string): ShadowBudget {
    let budget = this.budgets.get(rolloutId);
    if (!budget) {
      const [oldest] = this.budgets.keys();
      if (this.budgets.size >= mostBudgets && oldest !== undefined) this.budgets.delete(oldest);
      budget = new ShadowBudget();
      this.budgets.set(rolloutId, budget);
    }
    return budget;
  }
}

interface By {
  readonly rollout: NonNullable<Route['rollout']>;
  readonly judge: Judge;
}

/** Of what is asked beside conversation and answer. */
const questionBytes = 1_000;
const mostBudgets = 256;
