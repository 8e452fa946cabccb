// Runs one evaluation from what is stored to its verdict. Safe to repeat after a crash at any line: what is not committed did not happen.
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Clock } from '#libs/base';
import { type CaseOutcome, type ComparedCase, type GateFinding, judgeGate, measureAlone, type TestCase } from '#libs/scoring';
import {
  Database,
  EvaluationResultStore,
  type EvaluationRun,
  EvaluationStore,
  notifyRollout,
  type ResultMark,
  RoutingStore,
  TestSetStore,
} from '#libs/storage';
import type { Log } from '#libs/telemetry';
import { CLOCK, EvaluatorSettings, LOG } from './core.js';
import { GatewayClient } from './gateway-client.js';
import { RunFailed, RunStopped, resultKey, runEvaluation } from './run.js';

/** How soon a cancellation is noticed. */
const watchEveryMs = 500;
/** No evaluation may hold its versions in memory longer than this, whatever happens to it. */
export const runLimitMs = 6 * 3_600_000;

/** `gone`: it had ended, or ended while it ran. */
export type EvaluationEnd = 'complete' | 'failed' | 'gone';

@Injectable()
export class Evaluator implements OnModuleDestroy {
  private readonly evaluations = new EvaluationStore();
  private readonly results = new EvaluationResultStore();
  private readonly testSets = new TestSetStore();
  private readonly routing = new RoutingStore();
  private readonly client: GatewayClient;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EvaluatorSettings) private readonly settings: EvaluatorSettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) private readonly log: Log,
  ) {
    this.client = new GatewayClient({ ...settings.values, clock });
  }

  async onModuleDestroy(): Promise<void> {
    await this.client.close();
  }

  /** Throws only what another try may mend: a lost database, an abort of `signal`. */
  async evaluate(id: string, signal: AbortSignal): Promise<EvaluationEnd> {
    const run = await this.evaluations.begin(this.database.manager, id);
    if (!run) return 'gone';
    const log = this.log.child({ evaluation: id, model: run.model, candidate: run.candidate.label, baseline: run.baseline?.label ?? null });
    const watch = new AbortController();
    const stop = AbortSignal.any([signal, watch.signal]);
    const watching = this.watch(run, watch, signal);
    try {
      const finding = await this.measure(run, stop);
      const ended = await this.conclude(run, finding);
      if (ended) log.info({ verdict: finding.verdict, note: finding.note }, 'evaluation complete');
      return ended ? 'complete' : 'gone';
    } catch (error) {
      const cause = causeOf(watch.signal.aborted ? watch.signal.reason : error);
      if (cause instanceof RunStopped) return 'gone';
      if (!(cause instanceof RunFailed)) throw error;
      log.warn({ reason: cause.message, err: cause.cause }, 'evaluation failed');
      await this.giveUp(run, cause.message);
      return 'failed';
    } finally {
      watch.abort(new RunStopped('over'));
      await watching;
    }
  }

  private async measure(run: EvaluationRun, signal: AbortSignal): Promise<GateFinding> {
    const stored = await this.testSets.cases(this.database.manager, run.testSetVersionId);
    // Frozen cases were checked when they came in and cannot have changed since: the database refuses it.
    const cases = stored.map(({ idx, content }) => ({ idx, testCase: content as TestCase }));
    if (cases.length !== run.planned)
      throw new Error(`evaluation ${run.id} planned ${run.planned} cases but its test set holds ${cases.length}`);
    const before = await this.results.marks(this.database.manager, run.id);
    await runEvaluation({
      run,
      cases,
      done: new Set(before.map(({ versionId, caseIdx }) => resultKey(versionId, caseIdx))),
      client: this.client,
      record: async (result) => await this.results.record(this.database.manager, run.id, result),
      concurrency: this.settings.values.concurrency,
      patienceMs: this.settings.values.patienceMs,
      clock: this.clock,
      signal,
    });
    // Judged by what is stored, not by what this process remembers: others may have stored parts of it.
    return judge(run, cases, await this.results.marks(this.database.manager, run.id));
  }

  private async conclude(run: EvaluationRun, finding: GateFinding): Promise<boolean> {
    return await this.database.transaction(async (tx) => {
      if (!(await this.evaluations.complete(tx, run.id, { verdict: finding.verdict, finding }))) return false;
      await this.release(tx, run);
      return true;
    });
  }

  private async giveUp(run: EvaluationRun, error: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      if (await this.evaluations.fail(tx, run.id, error)) await this.release(tx, run);
    });
  }

  /** Tells who waits for it: the controller looks at the rollout, or gateways may unload what only this evaluation needed. */
  private async release(tx: Parameters<typeof notifyRollout>[0], run: EvaluationRun): Promise<void> {
    if (run.rolloutId) await notifyRollout(tx, run.rolloutId);
    else await this.routing.rebuild(tx);
  }

  /** Stops the run soon after its evaluation was ended by somebody else, or when it has run for too long. */
  private async watch(run: EvaluationRun, stop: AbortController, closing: AbortSignal): Promise<void> {
    const giveUpAtMs = this.clock.monotonicMs() + runLimitMs - run.runningMs;
    const wake = AbortSignal.any([stop.signal, closing]);
    while (!wake.aborted) {
      await this.clock.sleep(watchEveryMs, wake).catch(() => undefined);
      if (wake.aborted) return;
      // A database that does not answer says nothing about the evaluation; the run itself will notice.
      const state = await this.evaluations.stateOf(this.database.manager, run.id).catch(() => 'running' as const);
      if (state !== 'running') stop.abort(new RunStopped('the evaluation is no longer running'));
      else if (this.clock.monotonicMs() > giveUpAtMs) stop.abort(new RunFailed(`not finished within ${runLimitMs / 3_600_000} hours`));
    }
  }
}

/** A fault of our own will be there at every try: it ends the run, where a lost database would only interrupt it. */
function causeOf(error: unknown): unknown {
  const ours = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return ours ? new RunFailed(`the evaluator failed: ${error.message}`, { cause: error }) : error;
}

function judge(run: EvaluationRun, cases: readonly { idx: number; testCase: TestCase }[], marks: readonly ResultMark[]): GateFinding {
  const outcomes = new Map(marks.map((mark) => [resultKey(mark.versionId, mark.caseIdx), outcomeOf(mark)]));
  const of = (versionId: string | undefined, idx: number): CaseOutcome | null =>
    versionId === undefined ? null : (outcomes.get(resultKey(versionId, idx)) ?? null);
  const compared = cases.map(
    ({ idx, testCase }): ComparedCase => ({
      kind: testCase.kind,
      candidate: of(run.candidate.id, idx),
      baseline: of(run.baseline?.id, idx),
    }),
  );
  return run.baseline ? judgeGate(compared, run.policy) : measureAlone(compared, run.policy.margin);
}

function outcomeOf({ outcome, passed }: ResultMark): CaseOutcome {
  if (outcome === 'errored') return 'errored';
  return passed ? 'passed' : 'failed';
}
