// Tells where text ends and a call begins: what could be the beginning of one is held back until it is known. Pure.

export interface Watched {
  /** What may be shown now. */
  readonly text: string;
  /** A call began: what came after its trigger. Null: not yet. */
  readonly beyond: string | null;
}

export class CallWatch {
  private held = '';

  constructor(private readonly trigger: string) {}

  /** Blanks before a call belong to its syntax: they are held back with it. */
  push(text: string): Watched {
    const whole = this.held + text;
    const at = whole.indexOf(this.trigger);
    if (at >= 0) {
      this.held = '';
      return { text: whole.slice(0, at).trimEnd(), beyond: whole.slice(at + this.trigger.length) };
    }
    const keep = heldFrom(whole, this.trigger);
    this.held = whole.slice(keep);
    return { text: whole.slice(0, keep), beyond: null };
  }

  /** What was held back, at the end of the answer. */
  finish(): string {
    const { held } = this;
    this.held = '';
    return held;
  }
}

/** Where the longest end of `text` begins that may turn out to be blanks and a trigger. */
function heldFrom(text: string, trigger: string): number {
  let from = text.length;
  for (let length = Math.min(text.length, trigger.length - 1); length > 0; length -= 1) {
    if (!text.endsWith(trigger.slice(0, length))) continue;
    from = text.length - length;
    break;
  }
  return text.slice(0, from).trimEnd().length;
}
