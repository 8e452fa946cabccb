// One run of one evaluation: every case to both versions, interleaved, a few at a time, each result stored before the next is asked.
import type { Clock } from '#libs/base';
import { scoreAnswer, type TestCase } from '#libs/scoring';
import type { EvaluationResult, EvaluationRun } from '#libs/storage';
import type { GatewayClient, Reply } from './gateway-client.js';

/** The evaluation cannot be finished: it ends `failed` with this sentence. */
export class RunFailed extends Error {
  override readonly name = 'RunFailed';
}

/** The evaluation has ended elsewhere (cancelled, finished by another worker), or this process is closing: leave everything as it is. */
export class RunStopped extends Error {
  override readonly name = 'RunStopped';
}

export interface RunOptions {
  readonly run: EvaluationRun;
  readonly cases: readonly { readonly idx: number; readonly testCase: TestCase }[];
  /** `versionId/idx` of what is stored already and will not be asked again. */
  readonly done: ReadonlySet<string>;
  readonly client: Pick<GatewayClient, 'ask'>;
  /** Stores one result; false when the evaluation is no longer running. */
  readonly record: (result: EvaluationResult) => Promise<boolean>;
  readonly concurrency: number;
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Task {
  readonly versionId: string;
  readonly versionLabel: string;
  readonly idx: number;
  readonly testCase: TestCase;
}

const mostTries = 4;
const shortestPauseMs = 100;
const longestPauseMs = 2_000;
const longestOutput = 65_536;
/** Below this many errors a version is never given up, however strict the policy. */
const leastErrors = 10;

/** Key of a result within an evaluation. */
export function resultKey(versionId: string, idx: number): string {
  return `${versionId}/${idx}`;
}

/**
 * Resolves when every case has a result from both versions. Throws RunFailed when a version does not answer for `patienceMs` or errs on more cases
 * than the policy forgives, RunStopped when there is no use in going on. May be called again after a crash with what was stored meanwhile in `done`.
 */
export async function runEvaluation(options: RunOptions): Promise<void> {
  const { run, cases, done, concurrency, signal } = options;
  const tasks = planTasks(run, cases).filter((task) => !done.has(resultKey(task.versionId, task.idx)));
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const book = new ErrorBook(Math.max(leastErrors, Math.ceil(run.policy.maxErrorShare * cases.length)));
  const patience = new Patience(options.patienceMs, options.clock);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let task = tasks[next++]; task !== undefined && !stop.aborted; task = tasks[next++]) {
      const result = await answerTask(task, options, patience, stop);
      if (!(await options.record(result))) throw new RunStopped('the evaluation is no longer running');
      if (result.outcome === 'errored') book.note(task, result.error ?? 'unknown');
    }
  };
  const workers = Array.from({ length: concurrency }, async () => {
    try {
      await worker();
    } catch (error) {
      // The first trouble ends all workers; its cause is what the caller hears.
      failed.abort(error);
    }
  });
  await Promise.all(workers);
  stop.throwIfAborted();
}

/** Case by case, both versions of a case side by side so that they are asked near in time; who goes first alternates. */
function planTasks(run: EvaluationRun, cases: RunOptions['cases']): Task[] {
  const versions = [run.candidate, ...(run.baseline ? [run.baseline] : [])];
  return cases.flatMap(({ idx, testCase }, position) => {
    const pair = versions.map(({ id, label }) => ({ versionId: id, versionLabel: label, idx, testCase }));
    return position % 2 === 0 ? pair : pair.reverse();
  });
}

async function answerTask(
  task: Task,
  { run, client, clock }: RunOptions,
  patience: Patience,
  signal: AbortSignal,
): Promise<EvaluationResult> {
  const { versionId, idx, testCase } = task;
  let pauseMs = shortestPauseMs;
  let tries = 0;
  for (let attempts = 1; ; attempts += 1) {
    signal.throwIfAborted();
    const reply: Reply = await client.ask({ model: run.model, versionLabel: task.versionLabel, testCase }, signal);
    if (reply.kind === 'answered') {
      patience.renew(versionId);
      const output = cleanText(reply.output);
      const { score, passed } = scoreAnswer(output, testCase);
      const { latencyMs, outputTokens } = reply;
      return { versionId, caseIdx: idx, outcome: 'answered', output, passed, score, attempts, latencyMs, outputTokens, error: null };
    }
    if (reply.kind !== 'later') {
      tries += 1;
      // A refusal is an answer too: the gateway is there.
      patience.renew(versionId);
      if (reply.kind === 'refused' || tries >= mostTries) {
        return { ...nothing, versionId, caseIdx: idx, attempts, error: reply.reason };
      }
    } else if (patience.isOver(versionId)) {
      throw new RunFailed(`version "${task.versionLabel}" did not answer for ${Math.round(patience.limitMs / 1000)} s: ${reply.reason}`);
    }
    await clock.sleep(reply.kind === 'later' ? (reply.retryAfterMs ?? pauseMs) : pauseMs, signal);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
}

const nothing = { outcome: 'errored', output: null, passed: null, score: null, latencyMs: null, outputTokens: null } as const;

/** Postgres holds no NUL and no half of a surrogate pair; an answer is stored up to 64 Ki characters. */
function cleanText(output: string): string {
  return output.slice(0, longestOutput).replaceAll('\0', '\uFFFD').toWellFormed();
}

/** How long each version has been silent. The clock starts with the run. */
class Patience {
  private readonly last = new Map<string, number>();
  private readonly startedMs: number;

  constructor(
    readonly limitMs: number,
    private readonly clock: Clock,
  ) {
    this.startedMs = clock.monotonicMs();
  }

  renew(versionId: string): void {
    this.last.set(versionId, this.clock.monotonicMs());
  }

  isOver(versionId: string): boolean {
    return this.clock.monotonicMs() - (this.last.get(versionId) ?? this.startedMs) > this.limitMs;
  }
}

/** Counts errors by version: a version that fails on everything need not be asked everything. */
class ErrorBook {
  private readonly counts = new Map<string, number>();

  constructor(private readonly allowed: number) {}

  /** Throws RunFailed when the version has more errors than any verdict but inconclusive allows. */
  note({ versionId, versionLabel }: Task, reason: string): void {
    const count = (this.counts.get(versionId) ?? 0) + 1;
    this.counts.set(versionId, count);
    if (count > this.allowed)
      throw new RunFailed(`version "${versionLabel}" failed on ${count} cases, more than a verdict can bear; the last one: ${reason}`);
  }
}
