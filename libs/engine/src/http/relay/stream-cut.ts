// What the client gets: the upstream's bytes without what was asked for on our own account, and with the public name of the model.
import type { ChunkScan } from './chunk-scan.js';
import { isWord } from './json-bytes.js';
import { shortened } from './logprob-scan.js';

export interface CutWishes {
  readonly clientTop: number | null;
  readonly askedTop: number | null;
  readonly withUsage: boolean;
  readonly modelShown: string;
}

/** Changes to a block of bytes, by places. One for a whole stream; `taken` clears it. */
export class Splices {
  private readonly froms: number[] = [];
  private readonly tos: number[] = [];
  private readonly puts: (Buffer | null)[] = [];
  private count = 0;

  /** `put` instead of the bytes between the places; null: nothing. Places may come in any order and never overlap. */
  replace(from: number, to: number, put: Buffer | null): void {
    let rank = this.count;
    for (; rank > 0 && (this.froms[rank - 1] as number) > from; rank -= 1) {
      this.froms[rank] = this.froms[rank - 1] as number;
      this.tos[rank] = this.tos[rank - 1] as number;
      this.puts[rank] = this.puts[rank - 1] ?? null;
    }
    this.froms[rank] = from;
    this.tos[rank] = to;
    this.puts[rank] = put;
    this.count += 1;
  }

  /** The bytes between the places with all changes made: the same memory where they left one piece, one new buffer otherwise; null when nothing is left. */
  taken(bytes: Buffer, from: number, to: number): Buffer | null {
    const { froms, tos, puts, count } = this;
    this.count = 0;
    if (count === 0) return from === to ? null : from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    let length = to - from;
    let parts = 0;
    let keptFrom = from;
    let keptTo = from;
    for (let rank = 0, at = from; rank <= count; rank += 1) {
      const end = rank < count ? (froms[rank] as number) : to;
      if (end > at) {
        parts += 1;
        keptFrom = at;
        keptTo = end;
      }
      if (rank === count) break;
      const put = puts[rank] ?? null;
      if (put !== null) parts += 2;
      at = tos[rank] as number;
      length += (put?.length ?? 0) - (at - end);
    }
    if (length === 0) return null;
    if (parts === 1) return bytes.subarray(keptFrom, keptTo);
    const made = Buffer.allocUnsafe(length);
    let place = 0;
    let at = from;
    for (let rank = 0; rank < count; rank += 1) {
      const end = froms[rank] as number;
      place += bytes.copy(made, place, at, end);
      const put = puts[rank] ?? null;
      if (put !== null) place += put.copy(made, place);
      at = tos[rank] as number;
    }
    bytes.copy(made, place, at, to);
    return made;
  }
}

/** The changes that one client's wishes ask for. */
export class AnswerCut {
  readonly splices = new Splices();
  private readonly model: Buffer;
  private readonly nothing = Buffer.from('null');

  constructor(private readonly wishes: CutWishes) {
    this.model = Buffer.from(JSON.stringify(wishes.modelShown));
  }

  /** Of a streamed chunk: the event between the places goes whole when it tells the usage alone. */
  chunk(bytes: Buffer, scan: ChunkScan, eventFrom: number, eventTo: number): void {
    if (!this.wishes.withUsage && scan.usageFrom >= 0) {
      if (scan.usage !== null && scan.count === 0) return this.splices.replace(eventFrom, eventTo, null);
      this.splices.replace(scan.usageFrom, scan.usageTo, null);
    }
    this.body(bytes, scan);
  }

  /** Of a body that came whole, which keeps its usage. */
  body(bytes: Buffer, scan: ChunkScan): void {
    if (scan.modelFrom >= 0) this.name(bytes, scan.modelFrom, scan.modelTo);
    const { clientTop, askedTop } = this.wishes;
    for (let place = 0; place < scan.count; place += 1) {
      const choice = scan.choices[place];
      if (choice === undefined || choice.logprobsFrom < 0) continue;
      const { logprobsFrom, logprobsTo, surplus } = choice;
      if (clientTop === null) this.splices.replace(logprobsFrom, logprobsTo, this.nothing);
      else if (surplus !== null) {
        for (let pair = 0; pair < surplus.length; pair += 2)
          this.splices.replace(surplus[pair] as number, surplus[pair + 1] as number, null);
      } else if (askedTop !== null && clientTop < askedTop) {
        const whole: unknown = JSON.parse(bytes.toString('utf8', logprobsFrom, logprobsTo));
        this.splices.replace(logprobsFrom, logprobsTo, Buffer.from(JSON.stringify(shortened(whole, clientTop))));
      }
    }
  }

  /** Writes the public name over the value between the places. */
  name(bytes: Buffer, from: number, to: number): void {
    const { model } = this;
    // By hand: names are short, and this is asked of every chunk.
    if (to - from === model.length && isWord(bytes, from, model)) return;
    this.splices.replace(from, to, model);
  }

  /**
   * The same for JSON that no scan has places in: null when nothing must change, `drop` when nothing is left. What is written anew keeps its
   * meaning, not its bytes.
   */
  recast(json: Record<string, unknown>, stream: boolean): Record<string, unknown> | 'drop' | null {
    const { clientTop, askedTop, withUsage, modelShown } = this.wishes;
    let made = json;
    if (json['model'] !== undefined && json['model'] !== modelShown) made = { ...made, model: modelShown };
    if (stream && !withUsage && json['usage'] !== undefined) {
      const { usage, ...rest } = made;
      if (usage !== null && Array.isArray(json['choices']) && json['choices'].length === 0) return 'drop';
      made = rest;
    }
    const choices = json['choices'];
    if (!Array.isArray(choices)) return made === json ? null : made;
    let changed = false;
    const cut = choices.map((choice: unknown) => {
      const logprobs = (choice as { logprobs?: unknown } | null)?.logprobs ?? null;
      if (logprobs === null || (clientTop !== null && (askedTop === null || clientTop >= askedTop))) return choice;
      changed = true;
      return { ...(choice as object), logprobs: clientTop === null ? null : shortened(logprobs, clientTop) };
    });
    if (changed) made = { ...made, choices: cut };
    return made === json ? null : made;
  }
}
