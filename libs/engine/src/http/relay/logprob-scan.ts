// What a chunk's log probabilities say, by one walk over their bytes: the certainty of each token, and where the lists are longer than the client asked.
import { largestVocabulary, lowestLogprob, readLogprobs, uncertaintyFrom, uncertaintyOf } from '../logprobs.js';
import {
  closeBrace,
  closeBracket,
  colon,
  comma,
  isWord,
  nameEnd,
  notJson,
  openBrace,
  openBracket,
  past,
  quote,
  stringEnd,
  valueEnd,
  wholeNumbersEnd,
  wordOf,
} from './json-bytes.js';

const words = {
  content: wordOf('content'),
  token: wordOf('token'),
  logprob: wordOf('logprob'),
  topLogprobs: wordOf('top_logprobs'),
};
/** How nearly all servers write an entry: in this order, without blanks. */
const usual = { token: wordOf('{"token":"'), logprob: wordOf(',"logprob":'), bytes: wordOf(',"bytes":[') };
/** Of one list; a longer one is read the slow way. */
const longestList = 64;
/** Beyond the 22nd they miss by half a unit in the last place, which no entropy shows. */
const powersOfTen = Float64Array.from({ length: 60 }, (_, exponent) => Number(`1e${exponent}`));
const mostDigits = 18;

export interface LogprobWishes {
  /** Likely tokens per place that the upstream was asked for. */
  readonly askedTop: number;
  /** Those that the client gets; null: none. */
  readonly clientTop: number | null;
  /** False: tokens are counted and nothing is measured. */
  readonly bounds: boolean;
  readonly vocabularySize: number | null;
}

/** Sums over the tokens of one choice in one chunk. */
export interface LogprobSums {
  /** Tokens that are told. */
  listed: number;
  /** Those of them whose numbers make sense: the sums are over these. */
  measured: number;
  lowerNats: number;
  upperNats: number;
  nllNats: number;
}

/**
 * One for a whole stream: `walk` writes its findings into the fields, which the next walk clears. On a chunk with 20 likely tokens a third as dear as
 * JSON.parse, and the same to 1e-12: numbers are read by hand, to some units in the last place.
 */
export class LogprobScan implements LogprobSums {
  listed = 0;
  measured = 0;
  lowerNats = 0;
  upperNats = 0;
  nllNats = 0;
  /** What must go for the lists to be as long as the client asked: pairs of places, ascending. */
  readonly surplus: number[] = [];
  /** A list that must be shortened was not in order: `surplus` is worth nothing. */
  unordered = false;

  private readonly vocabularySize: number;
  private readonly list = new Float64Array(longestList);
  /** A plain list per length, so that none is made per token. */
  private readonly lists: number[][] = [];
  private count = 0;
  private ordered = true;
  /** Of the list: behind its bracket or the last entry that stays. */
  private keptTo = 0;
  private logprob = 0;
  private number = 0;

  constructor(private readonly wishes: LogprobWishes) {
    this.vocabularySize = wishes.vocabularySize ?? largestVocabulary;
  }

  /** OpenAI's chat form, `{"content": [...]}`, at `at`: where it ends. `notJson` for any other form, for which there is `parse`. */
  walk(bytes: Buffer, from: number): number {
    this.clear();
    let at = past(bytes, from);
    if (bytes[at] !== openBrace) return notJson;
    at = past(bytes, at + 1);
    for (let content = false; ; ) {
      if (bytes[at] !== quote) return notJson;
      const name = at + 1;
      const nameTo = nameEnd(bytes, name);
      if (nameTo < 0) return notJson;
      at = past(bytes, nameTo + 1);
      if (bytes[at] !== colon) return notJson;
      at = past(bytes, at + 1);
      if (nameTo - name === 7 && isWord(bytes, name, words.content)) {
        if (content || bytes[at] !== openBracket) return notJson;
        content = true;
        at = this.tokens(bytes, at + 1);
      } else at = valueEnd(bytes, at);
      if (at < 0) return notJson;
      at = past(bytes, at);
      if (bytes[at] === closeBrace) return content ? at + 1 : notJson;
      if (bytes[at] !== comma) return notJson;
      at = past(bytes, at + 1);
    }
  }

  /** Any form, as JSON.parse gives it. Leaves `surplus` empty: see `shortened`. */
  parse(raw: unknown): void {
    this.clear();
    for (const token of readLogprobs(raw, this.wishes.askedTop)) {
      this.listed += 1;
      if (this.wishes.bounds) this.add(uncertaintyOf(token, this.vocabularySize));
    }
  }

  private clear(): void {
    this.listed = 0;
    this.measured = 0;
    this.lowerNats = 0;
    this.upperNats = 0;
    this.nllNats = 0;
    this.surplus.length = 0;
    this.unordered = false;
  }

  private add(uncertainty: ReturnType<typeof uncertaintyOf>): void {
    if (uncertainty.kind !== 'bounds') return;
    this.measured += 1;
    this.lowerNats += uncertainty.lowerNats;
    this.upperNats += uncertainty.upperNats;
    this.nllNats += uncertainty.nllNats;
  }

  private tokens(bytes: Buffer, from: number): number {
    let at = past(bytes, from);
    if (bytes[at] === closeBracket) return at + 1;
    for (;;) {
      this.count = 0;
      this.ordered = true;
      at = this.entry(bytes, at, true);
      if (at < 0) return notJson;
      this.listed += 1;
      if (this.wishes.bounds) this.add(uncertaintyFrom(this.logprob, this.likeliest(), this.vocabularySize));
      at = past(bytes, at);
      if (bytes[at] === closeBracket) return at + 1;
      if (bytes[at] !== comma) return notJson;
      at = past(bytes, at + 1);
    }
  }

  /** A token with its number, left in `logprob`; at the top with those that were likely in its place. */
  private entry(bytes: Buffer, from: number, atTop: boolean): number {
    if (bytes[from] !== openBrace) return notJson;
    let at = this.opening(bytes, from);
    let token = at >= 0;
    let logprob = Number.NaN;
    if (token) {
      logprob = this.number;
      if (bytes[at] === closeBrace) {
        this.logprob = logprob;
        return at + 1;
      }
      if (bytes[at] !== comma) return notJson;
      at = past(bytes, at + 1);
    } else at = past(bytes, from + 1);
    for (let list = false; ; ) {
      if (bytes[at] !== quote) return notJson;
      const name = at + 1;
      const nameTo = nameEnd(bytes, name);
      if (nameTo < 0) return notJson;
      at = past(bytes, nameTo + 1);
      if (bytes[at] !== colon) return notJson;
      at = past(bytes, at + 1);
      const length = nameTo - name;
      if (length === 5 && isWord(bytes, name, words.token)) {
        if (token || bytes[at] !== quote) return notJson;
        token = true;
        at = stringEnd(bytes, at + 1);
      } else if (length === 7 && isWord(bytes, name, words.logprob)) {
        if (!Number.isNaN(logprob)) return notJson;
        at = this.read(bytes, at);
        logprob = this.number;
      } else if (atTop && length === 12 && isWord(bytes, name, words.topLogprobs)) {
        if (list || bytes[at] !== openBracket) return notJson;
        list = true;
        at = this.top(bytes, at + 1);
      } else at = valueEnd(bytes, at);
      if (at < 0) return notJson;
      at = past(bytes, at);
      if (bytes[at] === closeBrace) {
        this.logprob = logprob;
        // A token without a number is left out of what is measured: rare enough for the slow way.
        return token && !Number.isNaN(logprob) ? at + 1 : notJson;
      }
      if (bytes[at] !== comma) return notJson;
      at = past(bytes, at + 1);
    }
  }

  /** Behind an entry's token, its number (left in `number`) and its bytes where they are written in the usual way; `notJson`: in no usual way. */
  private opening(bytes: Buffer, from: number): number {
    if (!isWord(bytes, from, usual.token)) return notJson;
    let at = stringEnd(bytes, from + usual.token.length);
    if (at < 0 || !isWord(bytes, at, usual.logprob)) return notJson;
    at = this.read(bytes, at + usual.logprob.length);
    if (at < 0 || !isWord(bytes, at, usual.bytes)) return at;
    const end = wholeNumbersEnd(bytes, at + usual.bytes.length);
    return end < 0 ? at : end;
  }

  private top(bytes: Buffer, from: number): number {
    const { clientTop } = this.wishes;
    let at = past(bytes, from);
    this.keptTo = from;
    if (bytes[at] === closeBracket) return at + 1;
    for (;;) {
      at = this.entry(bytes, at, false);
      if (at < 0 || this.count === longestList) return notJson;
      if (this.count > 0 && this.logprob > (this.list[this.count - 1] as number)) this.ordered = false;
      this.list[this.count] = this.logprob;
      this.count += 1;
      if (this.count === clientTop) this.keptTo = at;
      at = past(bytes, at);
      if (bytes[at] === closeBracket) break;
      if (bytes[at] !== comma) return notJson;
      at = past(bytes, at + 1);
    }
    if (clientTop !== null && this.count > clientTop) {
      this.surplus.push(this.keptTo, at);
      if (!this.ordered) this.unordered = true;
    }
    return at + 1;
  }

  /** The likeliest of the list, no more than were asked for: more would be bounds of another k. */
  private likeliest(): readonly number[] {
    const { list, count } = this;
    const k = Math.min(count, this.wishes.askedTop);
    if (k < count && !this.ordered) list.subarray(0, count).sort().reverse();
    this.lists[k] ??= Array.from({ length: k }, () => -1.5);
    const likeliest = this.lists[k];
    for (let rank = 0; rank < k; rank += 1) likeliest[rank] = list[rank] as number;
    return likeliest;
  }

  /** A number by JSON's grammar, into `number`; impossible tokens are written in many ways and become one. */
  private read(bytes: Buffer, from: number): number {
    const negative = bytes[from] === 0x2d;
    let at = negative ? from + 1 : from;
    const first = at;
    let mantissa = 0;
    let byte = bytes[at] as number;
    if (!(byte >= 0x30 && byte <= 0x39)) return notJson;
    if (byte === 0x30) {
      at += 1;
      byte = bytes[at] as number;
    } else {
      for (; byte >= 0x30 && byte <= 0x39; byte = bytes[at] as number) {
        mantissa = mantissa * 10 + (byte - 0x30);
        at += 1;
      }
    }
    let exponent = 0;
    if (byte === 0x2e) {
      at += 1;
      const point = at;
      for (byte = bytes[at] as number; byte >= 0x30 && byte <= 0x39; byte = bytes[at] as number) {
        mantissa = mantissa * 10 + (byte - 0x30);
        at += 1;
      }
      if (at === point) return notJson;
      exponent = point - at;
    }
    const odd = at - first > mostDigits + 1;
    if (byte === 0x65 || byte === 0x45) {
      const end = valueEnd(bytes, from);
      if (end < 0) return notJson;
      exponent += Number(bytes.toString('latin1', at + 1, end));
      at = end;
    }
    const power = odd ? undefined : powersOfTen[Math.abs(exponent)];
    const size =
      power === undefined ? Math.abs(Number(bytes.toString('latin1', from, at))) : exponent < 0 ? mantissa / power : mantissa * power;
    this.number = negative ? Math.max(-size, lowestLogprob) : size;
    return at;
  }
}

/** `logprobs` of any form with lists of `k` likely tokens at most; the chosen token, which older completions keep in the map, stays. */
export function shortened(raw: unknown, k: number): unknown {
  if (typeof raw !== 'object' || raw === null) return raw;
  const { content, tokens, top_logprobs: maps } = raw as { content?: unknown; tokens?: unknown; top_logprobs?: unknown };
  if (Array.isArray(content)) return { ...raw, content: content.map((token: unknown) => withShorter(token, k)) };
  if (!Array.isArray(tokens) || !Array.isArray(maps)) return raw;
  return { ...raw, top_logprobs: maps.map((map: unknown, place) => shorterMap(map, tokens[place], k)) };
}

type Told = { readonly logprob?: unknown; readonly top_logprobs?: unknown };
const numberOf = (value: unknown): number => (typeof value === 'number' ? value : Number.NEGATIVE_INFINITY);

function withShorter(token: unknown, k: number): unknown {
  if (typeof token !== 'object' || token === null) return token;
  const { top_logprobs: top } = token as Told;
  if (!Array.isArray(top) || top.length <= k) return token;
  const ranked = (top as (Told | null)[]).toSorted((a, b) => numberOf(b?.logprob) - numberOf(a?.logprob));
  return { ...token, top_logprobs: ranked.slice(0, k) };
}

function shorterMap(map: unknown, chosen: unknown, k: number): unknown {
  if (typeof map !== 'object' || map === null) return map;
  const entries = Object.entries(map).sort(([, a], [, b]) => numberOf(b) - numberOf(a));
  return Object.fromEntries(entries.filter(([text], rank) => rank < k || text === chosen));
}
