// The text of an answer that may call functions: tokens in, shown text and pieces of calls out, and the moment from which a grammar holds.
import type { ToolCallDelta } from '../../engine.js';
import type { Vocabulary } from '../decoder.js';
import { TextStream } from '../text-stream.js';
import type { CallPlan } from './call-plan.js';
import { CallReader } from './call-reader.js';
import { CallWatch } from './call-watch.js';

export interface Said {
  readonly text: string;
  readonly calls: readonly ToolCallDelta[];
  /** A call began here and its grammar holds from now on: these tokens go into the cache in place of the one that was taken. */
  readonly instead: readonly number[] | null;
}

const utf8 = new TextDecoder('utf-8');

export class CallingText {
  private readonly raw = new TextStream([]);
  private readonly watch: CallWatch;
  private readonly trigger: string;
  private reader: CallReader | null;

  /** `template`: text of the template as tokens, its special ones read. */
  constructor(
    private readonly plan: CallPlan,
    private readonly vocabulary: Pick<Vocabulary, 'bytes' | 'spelling'>,
    private readonly template: (text: string) => readonly number[],
  ) {
    const { syntax, start, fromStart } = plan;
    // Held by a grammar from the start the opening is spelled exactly as it stands.
    this.trigger = fromStart ? syntax.opening : syntax.trigger;
    this.watch = new CallWatch(this.trigger);
    this.reader = start === 'free' ? null : new CallReader(plan);
  }

  /** Calls that were begun. */
  get calls(): number {
    return this.reader?.calls ?? 0;
  }

  take(token: number): Said {
    const spelled = utf8.decode(this.vocabulary.spelling(token));
    if (this.reader) return { text: '', calls: this.reader.push(this.raw.push(this.vocabulary.spelling(token))), instead: null };
    // Control tokens are no text, unless a call begins with one.
    const control = this.vocabulary.bytes(token).length === 0 && spelled !== '';
    const { text, beyond } = this.watch.push(
      control ? (this.trigger.includes(spelled) ? spelled : '') : this.raw.push(this.vocabulary.bytes(token)),
    );
    if (beyond === null) return { text, calls: [], instead: null };
    this.reader = new CallReader({ ...this.plan, start: 'name' });
    if (this.plan.fromStart) return { text, calls: this.reader.push(beyond), instead: null };
    return { text, calls: [], instead: this.openingFrom(token, spelled, beyond) };
  }

  /** Text that was held back, at the end of the answer. */
  finish(): string {
    return this.watch.finish() + (this.reader ? '' : this.raw.finish());
  }

  /** The rest of the opening is not sampled, but put there: whatever the token brought beyond the trigger is forgotten. */
  private openingFrom(token: number, spelled: string, beyond: string): readonly number[] {
    const rest = this.plan.syntax.opening.slice(this.trigger.length);
    if (beyond === '' && spelled.endsWith(this.trigger.slice(-1))) return [token, ...(rest === '' ? [] : this.template(rest))];
    return this.template(spelled.slice(0, spelled.length - beyond.length) + rest);
  }
}
