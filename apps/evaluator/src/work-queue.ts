// Evaluations as jobs of pg-boss: claimed by one worker at a time, claimed again soon after its worker dies.
import { Inject, Injectable } from '@nestjs/common';
import { type Job, PgBoss } from 'pg-boss';
import { type Clock, Pulse } from '#libs/base';
import { Database, EvaluationStore } from '#libs/storage';
import { type Log, QuietLog } from '#libs/telemetry';
import { CLOCK, EvaluatorSettings, LOG } from './core.js';
import { Evaluator, runLimitMs } from './evaluator.js';

const queue = 'evaluations';
const pollMs = 1_000;
/** Evaluations at a time in one process. */
const atOnce = 2;
/** A worker that says nothing for so long (the least that pg-boss allows) is taken for dead and its job goes to another. */
const heartbeatS = 10;
const drainLimitMs = 5_000;

interface EvaluationJob {
  readonly evaluationId: string;
}

@Injectable()
export class WorkQueue {
  private readonly evaluations = new EvaluationStore();
  private readonly boss: PgBoss;
  private readonly quiet: QuietLog;
  private readonly closing = new AbortController();
  private readonly inHand = new Set<string>();
  private readonly pulse: Pulse;
  private polledAtMs: number | null = null;

  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(EvaluatorSettings) settings: EvaluatorSettings,
    @Inject(Evaluator) private readonly evaluator: Evaluator,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOG) log: Log,
  ) {
    this.quiet = new QuietLog(log, clock);
    this.pulse = new Pulse({
      clock,
      everyMs: pollMs,
      beat: async () => await this.enqueue(),
      onError: (error) => this.quiet.warn('evaluations cannot be read; trying again', error),
    });
    this.boss = new PgBoss({
      connectionString: settings.values.databaseUrl,
      application_name: 'serin-evaluator-jobs',
      max: 3,
      connectionTimeoutMillis: 5_000,
      useListenNotify: true,
      // Quick to notice a dead worker; the housekeeping of large queues is not needed here.
      superviseIntervalSeconds: 2,
      monitorIntervalSeconds: 2,
      schedule: false,
      reindex: false,
      monitorVacuum: false,
      registerInstance: false,
    });
    // Unheard it would end the process; every part of pg-boss tries again by itself.
    this.boss.on('error', (error) => this.quiet.warn('the job queue has trouble; trying again', error));
  }

  /** Milliseconds since the table of evaluations was last read; null before the first time. */
  get silentMs(): number | null {
    return this.polledAtMs === null ? null : this.clock.monotonicMs() - this.polledAtMs;
  }

  /** Installs pg-boss in its own schema when it is missing, and begins to work. */
  async start(): Promise<void> {
    await this.boss.start();
    // One job per evaluation, waiting or active, however many evaluators enqueue it.
    await this.boss.createQueue(queue, {
      policy: 'exclusive',
      notify: true,
      heartbeatSeconds: heartbeatS,
      expireInSeconds: runLimitMs / 1000 + 600,
      retryLimit: 1_000,
      retryDelay: 1,
      deleteAfterSeconds: 3_600,
    });
    const options = {
      batchSize: 1,
      localConcurrency: atOnce,
      pollingIntervalSeconds: 1,
      notifyPollingIntervalSeconds: 2,
      heartbeatRefreshSeconds: 3,
    } as const;
    await this.boss.work<EvaluationJob>(queue, options, async (jobs: Job<EvaluationJob>[]) => {
      for (const job of jobs) await this.attend(job);
    });
    this.pulse.start();
  }

  /** Takes nothing new, stops what runs (what is stored stays; the job goes back to the queue) and closes. */
  async close(): Promise<void> {
    this.closing.abort(new Error('the evaluator is closing'));
    await this.pulse.stop();
    await this.boss.stop({ graceful: true, timeout: drainLimitMs, close: true });
  }

  private async attend(job: Job<EvaluationJob>): Promise<void> {
    const { evaluationId } = job.data;
    this.inHand.add(evaluationId);
    try {
      await this.evaluator.evaluate(evaluationId, AbortSignal.any([job.signal, this.closing.signal]));
    } catch (error) {
      if (!this.closing.signal.aborted) this.quiet.warn(`evaluation ${evaluationId} was interrupted; it goes on soon`, error);
      throw error;
    } finally {
      this.inHand.delete(evaluationId);
    }
  }

  /** The bridge from the table to the queue: the row was written in the transaction of a decision, the job may come a moment later, or again. */
  private async enqueue(): Promise<void> {
    for (const evaluationId of await this.evaluations.unfinished(this.database.manager)) {
      if (!this.inHand.has(evaluationId)) await this.boss.send(queue, { evaluationId }, { singletonKey: evaluationId });
    }
    this.polledAtMs = this.clock.monotonicMs();
  }
}
