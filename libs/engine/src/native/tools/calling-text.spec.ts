// However tokens cut an answer, its text and its calls come out the same; and where a call begins, exactly its syntax follows.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ToolCallDelta } from '../../engine.js';
import type { CallPlan } from './call-plan.js';
import { CallReader } from './call-reader.js';
import { type CallSyntax, plainSyntax } from './call-syntax.js';
import { CallWatch } from './call-watch.js';
import { CallingText } from './calling-text.js';

const bracketSyntax: CallSyntax = {
  ...plainSyntax,
  opening: '[CALLS][{"name": "',
  trigger: '[CALLS][',
  beforeArguments: (name) => `", "${name}": `,
  afterArguments: () => '}',
  between: ', {"name": "',
  end: ']',
};

const names = ['get', 'get_all', 'g'];
const plan = (syntax: CallSyntax, start: CallPlan['start'] = 'free', fromStart = false): CallPlan => ({
  syntax,
  names,
  start,
  gbnf: '',
  fromStart,
});

const given = fc.record({
  name: fc.constantFrom(...names),
  value: fc.dictionary(fc.string({ maxLength: 4 }), fc.jsonValue(), { maxKeys: 3 }),
});
const calls = fc.array(given, { minLength: 1, maxLength: 4 });
const syntaxes = fc.constantFrom(plainSyntax, bracketSyntax);
const cuts = fc.infiniteStream(fc.integer({ min: 1, max: 9 }));

function written(syntax: CallSyntax, all: readonly { readonly name: string; readonly value: unknown }[]): string {
  const each = all.map(({ name, value }) => name + syntax.beforeArguments(name) + JSON.stringify(value) + syntax.afterArguments(name));
  return each.join(syntax.between ?? '') + syntax.end;
}

function* cutUp(text: string, lengths: Iterator<number>): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const length = lengths.next().value as number;
    yield text.slice(at, at + length);
    at += length;
  }
}

function joined(pieces: readonly ToolCallDelta[]): { name: string; arguments: string }[] {
  const all: { name: string; arguments: string }[] = [];
  for (const { index, name, arguments: text } of pieces) {
    if (name !== undefined) {
      expect(index).toBe(all.length);
      all.push({ name, arguments: '' });
    }
    const call = all[index];
    if (call) call.arguments += text ?? '';
  }
  return all;
}

describe('a reader of calls', () => {
  it('finds the names and arguments that were written, wherever the text is cut', () => {
    fc.assert(
      fc.property(syntaxes, calls, cuts, (syntax, all, lengths) => {
        const reader = new CallReader({ syntax, names, start: 'name' });
        const pieces = [...cutUp(written(syntax, all), lengths)].flatMap((piece) => reader.push(piece));
        expect(joined(pieces)).toEqual(all.map(({ name, value }) => ({ name, arguments: JSON.stringify(value) })));
        expect(reader.calls).toBe(all.length);
      }),
      { numRuns: 300 },
    );
  });

  it('knows the name before the first token when it was chosen', () => {
    const reader = new CallReader({ syntax: plainSyntax, names, start: { name: 'get' } });
    expect(joined(reader.push('{"a": "}"}}\n</tool_call>'))).toEqual([{ name: 'get', arguments: '{"a": "}"}' }]);
  });
});

describe('a watch for calls', () => {
  it('shows all text before a call but the blanks at its end, and everything when none comes', () => {
    const noise = fc.array(fc.constantFrom('<', '<tool', '<tool_cal', ' ', '\n', 'l>', 'x', '[CALLS]', 'é')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(noise, fc.boolean(), fc.string({ maxLength: 5 }), cuts, (before, called, after, lengths) => {
        const whole = called ? `${before}<tool_call>${after}` : before;
        const at = whole.indexOf('<tool_call>');
        const watch = new CallWatch('<tool_call>');
        let shown = '';
        let beyond: string | null = null;
        for (const piece of cutUp(whole, lengths)) {
          if (beyond === null) {
            const seen = watch.push(piece);
            shown += seen.text;
            beyond = seen.beyond;
          } else beyond += piece;
        }
        shown += watch.finish();
        expect(shown).toBe(at < 0 ? whole : whole.slice(0, at).trimEnd());
        expect(beyond).toBe(at < 0 ? null : whole.slice(at + '<tool_call>'.length));
      }),
      { numRuns: 500 },
    );
  });
});

describe('the text of an answer that may call', () => {
  const pieces = ['Hi', ' <tool', '_call>', '_call>\n{', '</s>', '<tool_call>', '_ca', 'll>', 'get'];
  const control = new Set(['</s>', '<tool_call>']);
  const vocabulary = {
    bytes: (token: number) => Buffer.from(control.has(pieces[token] ?? '') ? '' : (pieces[token] ?? '')),
    spelling: (token: number) => Buffer.from(pieces[token] ?? ''),
  };
  const begin = (form: CallPlan = plan(plainSyntax)) => new CallingText(form, vocabulary, (text) => [...Buffer.from(text)]);
  const template = (tokens: readonly number[] | null | undefined) => Buffer.from(tokens ?? []).toString();
  const at = (piece: string) => pieces.indexOf(piece);

  it('lets the rest of the opening follow a call that begins exactly at the end of a token', () => {
    const answer = begin();
    expect(answer.take(at('Hi'))).toEqual({ text: 'Hi', calls: [], instead: null });
    expect(answer.take(at(' <tool'))).toEqual({ text: '', calls: [], instead: null });
    const { instead } = answer.take(at('_call>'));
    expect(instead?.[0]).toBe(at('_call>'));
    expect(template(instead?.slice(1))).toBe('\n{"name": "');
  });

  it('forgets what a token brings beyond the trigger, whose spelling may be another', () => {
    const answer = begin();
    answer.take(at(' <tool'));
    expect(template(answer.take(at('_call>\n{')).instead)).toBe('_call>\n{"name": "');
  });

  it('hears a control token that begins a call, and says none', () => {
    const answer = begin();
    expect(answer.take(at('</s>')).text).toBe('');
    const { instead } = answer.take(at('<tool_call>'));
    expect(instead?.[0]).toBe(at('<tool_call>'));
  });

  it('gives back what only looked like a call', () => {
    const answer = begin();
    expect([at('Hi'), at(' <tool'), at('_ca')].map((token) => answer.take(token).text).join('')).toBe('Hi');
    expect(answer.finish()).toBe(' <tool_ca');
    expect(answer.calls).toBe(0);
  });
});
