// Which arm and class an answer was of, for whoever rates it later: by request id, bounded in number and age, without a word of it.
import type { AnswerKey } from '#libs/analysis';
import type { Clock } from '#libs/base';

/** Some 4 MB. At 100 compared answers a second this reaches back over three minutes. */
const mostAnswers = 20_000;
const keepMs = 3_600_000;

export interface Rateable {
  /** Under which its score is counted. */
  readonly key: AnswerKey;
  /** Whose request it was. */
  readonly tenant: string;
  /** Its rating is the score of the check; else it is shown. */
  readonly judged: boolean;
}

interface Remembered extends Rateable {
  readonly atMs: number;
  rated: boolean;
}

export type Found = { readonly answer: Rateable } | 'unknown' | 'rated' | 'foreign';

export class RecentAnswers {
  private readonly answers = new Map<string, Remembered>();

  constructor(private readonly clock: Clock) {}

  get size(): number {
    return this.answers.size;
  }

  /** The newest of an id counts. */
  remember(requestId: string, { key, tenant, judged }: Rateable): void {
    const { model, versionId, rolloutId, epoch, arm, promptClass, assignedAt, place } = key;
    const kept = { model, versionId, rolloutId, epoch, arm, promptClass, assignedAt, place };
    this.answers.delete(requestId);
    this.answers.set(requestId, { key: kept, tenant, judged, atMs: this.clock.monotonicMs(), rated: false });
    if (this.answers.size <= mostAnswers) return;
    for (const [oldest] of this.answers) {
      this.answers.delete(oldest);
      return;
    }
  }

  /** Marks the answer as rated: it is found once. `anybody`: whoever asks may rate answers to others. */
  rate(requestId: string, tenant: string, anybody: boolean): Found {
    const found = this.answers.get(requestId);
    if (!found || this.clock.monotonicMs() - found.atMs > keepMs) return 'unknown';
    if (found.tenant !== tenant && !anybody) return 'foreign';
    if (found.rated) return 'rated';
    found.rated = true;
    return { answer: found };
  }
}
