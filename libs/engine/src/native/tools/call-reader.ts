// Reads calls out of text that a grammar has held to their syntax, and tells them piece by piece as they come. Pure.
import type { ToolCallDelta } from '../../engine.js';
import type { CallPlan } from './call-plan.js';

export class CallReader {
  /** Of the call that is read now. */
  private index = 0;
  private name: string | null = null;
  private held = '';
  private depth = 0;
  private quoted = false;
  private escaped = false;
  private state: 'name' | 'arguments' | 'after' = 'name';
  private announced: ToolCallDelta[] = [];
  private begun = 0;

  constructor(private readonly plan: Pick<CallPlan, 'syntax' | 'names' | 'start'>) {
    if (typeof plan.start === 'object') this.begin(plan.start.name);
  }

  /** Calls whose name is known. */
  get calls(): number {
    return this.begun;
  }

  push(text: string): ToolCallDelta[] {
    let rest = text;
    while (rest !== '')
      rest = this.state === 'name' ? this.readName(rest) : this.state === 'arguments' ? this.readArguments(rest) : this.readAfter(rest);
    const pieces = this.announced;
    this.announced = [];
    return pieces;
  }

  private begin(name: string): void {
    this.name = name;
    this.begun += 1;
    this.state = 'arguments';
    this.announced.push({ index: this.index, name });
  }

  private readName(text: string): string {
    this.held += text;
    const { names, syntax } = this.plan;
    for (const name of names) {
      const head = name + syntax.beforeArguments(name);
      if (!this.held.startsWith(head)) continue;
      const rest = this.held.slice(head.length);
      this.held = '';
      this.begin(name);
      return rest;
    }
    return '';
  }

  /** Arguments are an object: they end where its last brace closes. */
  private readArguments(text: string): string {
    for (let at = 0; at < text.length; at += 1) {
      const character = text[at];
      if (this.escaped) this.escaped = false;
      else if (this.quoted) {
        if (character === '\\') this.escaped = true;
        else if (character === '"') this.quoted = false;
      } else if (character === '"') this.quoted = true;
      else if (character === '{' || character === '[') this.depth += 1;
      else if (character === '}' || character === ']') {
        this.depth -= 1;
        if (this.depth > 0) continue;
        this.announced.push({ index: this.index, arguments: text.slice(0, at + 1) });
        this.state = 'after';
        return text.slice(at + 1);
      }
    }
    this.announced.push({ index: this.index, arguments: text });
    return '';
  }

  private readAfter(text: string): string {
    this.held += text;
    const { syntax } = this.plan;
    if (syntax.between === null || this.name === null) return '';
    const head = syntax.afterArguments(this.name) + syntax.between;
    if (!this.held.startsWith(head)) return '';
    const rest = this.held.slice(head.length);
    this.held = '';
    this.index += 1;
    this.state = 'name';
    return rest;
  }
}
