// How mirrors fared since the start of the process. What was drawn is skipped, running or ended, and in exactly one count.
import { type UnreadReason, unreadReasons } from './forced.js';
import { type CancelReason, cancelReasons, type MirrorOutcome, mirrorOutcomes, type SkipReason, skipReasons } from './report.js';

/** `drawn` = all of `skipped` + `running` + all of `ended`. */
export interface ShadowFigures {
  /** Requests that could have been mirrored. */
  readonly eligible: number;
  /** Those whose coin fell so, and whose turn came. */
  readonly drawn: number;
  readonly running: number;
  readonly skipped: Readonly<Record<SkipReason, number>>;
  readonly ended: Readonly<Record<MirrorOutcome, number>>;
  /** Of `ended.cancelled`. */
  readonly cancelledFor: Readonly<Record<CancelReason, number>>;
  /** Prompt and answer tokens of all mirrors that have ended. */
  readonly tokens: number;
  /** Answers of stable that both versions read, where the plan asks for it. */
  readonly read: number;
  readonly unread: Readonly<Record<UnreadReason, number>>;
}

export class ShadowCounts {
  eligible = 0;
  private drawn = 0;
  private running = 0;
  private tokens = 0;
  private readonly skipped = zeros(skipReasons);
  private readonly ended = zeros(mirrorOutcomes);
  private readonly cancelledFor = zeros(cancelReasons);
  private readTotal = 0;
  private readonly unread = zeros(unreadReasons);

  skip(reason: SkipReason): void {
    this.drawn += 1;
    this.skipped[reason] += 1;
  }

  start(): void {
    this.drawn += 1;
    this.running += 1;
  }

  end(outcome: MirrorOutcome, cancelledFor: CancelReason | null, tokens: number): void {
    this.running -= 1;
    this.ended[outcome] += 1;
    this.tokens += tokens;
    if (cancelledFor !== null) this.cancelledFor[cancelledFor] += 1;
  }

  /** Null: nobody asked for it. */
  reading(unread: UnreadReason | 'read' | null): void {
    if (unread === 'read') this.readTotal += 1;
    else if (unread !== null) this.unread[unread] += 1;
  }

  read(): ShadowFigures {
    const { eligible, drawn, running, skipped, ended, cancelledFor, tokens, readTotal, unread } = this;
    return { eligible, drawn, running, skipped, ended, cancelledFor, tokens, read: readTotal, unread };
  }
}

function zeros<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<Name, number>;
}
