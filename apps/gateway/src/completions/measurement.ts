// What one try at a version shows of it, over all its answers: when tokens came, how many, how sure.
import { isLoop, isRefusal, loopTailChars, refusalHeadChars } from '#libs/analysis';
import type { FinishReason, TokenEvent } from '#libs/engine';

type Token = Extract<TokenEvent, { type: 'token' }>;

/** Times in milliseconds since the request was assigned, entropy and NLL in nats. */
export interface Measured {
  readonly finishReason: FinishReason | null;
  readonly ttftMs: number | null;
  readonly interTokenMs: number | null;
  readonly tokens: number;
  readonly entropyMeanNats: number | null;
  readonly entropyMaxNats: number | null;
  readonly nllMeanNats: number | null;
  /** Of the first of several answers. False where nobody read the text: its bytes passed. */
  readonly refused: boolean;
  readonly looped: boolean;
}

export const nothingMeasured: Measured = {
  finishReason: null,
  ttftMs: null,
  interTokenMs: null,
  tokens: 0,
  entropyMeanNats: null,
  entropyMaxNats: null,
  nllMeanNats: null,
  refused: false,
  looped: false,
};

export class Measurement {
  private firstAtMs: number | null = null;
  private lastAtMs: number;
  private tokens = 0;
  private readonly tokensOf = new Map<number, number>();
  private readonly finishes = new Map<number, FinishReason>();
  private exact = 0;
  private entropySum = 0;
  private entropyMax = 0;
  private told = 0;
  private nllSum = 0;
  private head = '';
  private tail = '';

  constructor(private readonly startedAtMs: number) {
    this.lastAtMs = startedAtMs;
  }

  token({ choice, text, uncertainty }: Token, nowMs: number): void {
    if (choice === 0) this.keep(text);
    this.lastAtMs = nowMs;
    this.firstAtMs ??= nowMs;
    this.tokens += 1;
    this.tokensOf.set(choice, (this.tokensOf.get(choice) ?? 0) + 1);
    if (uncertainty.kind === 'none') return;
    this.told += 1;
    this.nllSum += uncertainty.nllNats;
    // The middle of two bounds is no entropy: it stays out rather than be compared with exact ones.
    if (uncertainty.kind !== 'exact') return;
    this.exact += 1;
    this.entropySum += uncertainty.entropyNats;
    this.entropyMax = Math.max(this.entropyMax, uncertainty.entropyNats);
  }

  finish(choice: number, reason: FinishReason): void {
    this.finishes.set(choice, reason);
  }

  get finished(): number {
    return this.finishes.size;
  }

  read(): Measured {
    const { firstAtMs, lastAtMs, startedAtMs } = this;
    // Answers grow side by side: the longest one tells how long its reader waited between tokens.
    const longest = Math.max(0, ...this.tokensOf.values());
    return {
      finishReason: this.finishReason(),
      ttftMs: firstAtMs === null ? null : firstAtMs - startedAtMs,
      interTokenMs: firstAtMs !== null && longest > 1 ? (lastAtMs - firstAtMs) / (longest - 1) : null,
      tokens: this.tokens,
      entropyMeanNats: this.exact > 0 ? this.entropySum / this.exact : null,
      entropyMaxNats: this.exact > 0 ? this.entropyMax : null,
      nllMeanNats: this.told > 0 ? this.nllSum / this.told : null,
      refused: isRefusal(this.head, this.finishReason()),
      looped: isLoop(this.tail),
    };
  }

  /** The first and the last words, whatever the length. */
  private keep(text: string): void {
    if (this.head.length < refusalHeadChars) this.head += text;
    this.tail += text;
    if (this.tail.length > 4 * loopTailChars) this.tail = this.tail.slice(-loopTailChars);
  }

  /** One cut answer makes the request a cut one. */
  private finishReason(): FinishReason | null {
    const reasons = [...this.finishes.values()];
    return reasons.find((reason) => reason === 'length') ?? reasons.find((reason) => reason !== 'stop') ?? reasons[0] ?? null;
  }
}
