import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ScannedBody, scanBody } from '#libs/openai';
import { BodyWriter } from './body-writer.js';
import { underSystemPrompt } from './system-prompt.js';

function scanned(text: string): ScannedBody {
  const body = scanBody(Buffer.from(text));
  if (!body.ok) throw new Error(body.fault.message);
  return body.value;
}

const blanks = fc.constantFrom('', ' ', '\n\t', '\r\n ');
/** None with a backslash: once V8 has parsed {"a":0,"\\\\":0}, it reads {"a":0,"\\"":0} as the same (Node 24.21), and this test judges by JSON.parse. */
const names = fc
  .oneof(fc.string({ unit: 'binary', maxLength: 6 }), fc.constantFrom('model', 'messages', 'ä😀', '"', '}'))
  .filter((name) => !name.includes('\\'));

/** An object of JSON with blanks where it may have them. */
const objects = fc
  .tuple(
    fc.uniqueArray(fc.tuple(names, fc.json({ maxDepth: 3 })), { selector: ([name]) => name, maxLength: 6 }),
    fc.array(blanks, { minLength: 4, maxLength: 4 }),
  )
  .map(([members, [a = '', b = '', c = '', d = '']]) => ({
    members,
    text: `${a}{${b}${members.map(([name, json]) => `${JSON.stringify(name)}${c}:${d}${json}`).join(`${a},${b}`)}${c}}${d}`,
  }));

describe('a body of the upstream', () => {
  it('in which everything stays is the very bytes of the client', () => {
    fc.assert(
      fc.property(objects, ({ members, text }) => {
        fc.pre(members.length > 0);
        const body = scanned(text);
        const writer = new BodyWriter(body);
        for (const index of members.keys()) writer.keep(index);
        expect(writer.bytes()).toBe(body.bytes);
      }),
    );
  });

  it('has what is kept as it was written, and what is put beside it', () => {
    fc.assert(
      fc.property(objects, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), fc.nat(6), ({ members, text }, kept, place) => {
        const body = scanned(text);
        const writer = new BodyWriter(body);
        const wanted: [string, unknown][] = [];
        const own = ['our own ä😀', 'x'] as const;
        for (const [index, [name, json]] of members.entries()) {
          if (index === place) {
            writer.put(`${JSON.stringify(own[0])}:${JSON.stringify(own[1])}`);
            wanted.push([...own]);
          }
          if (!kept[index]) continue;
          writer.keep(index);
          wanted.push([name, JSON.parse(json)]);
        }
        const made = writer.bytes().toString('utf8');
        expect(Object.entries(JSON.parse(made) as object)).toEqual(Object.entries(Object.fromEntries(wanted)));
        for (const [index, member] of body.members.entries())
          if (kept[index]) expect(made).toContain(body.bytes.toString('utf8', member.at, member.valueTo));
      }),
      { numRuns: 500 },
    );
  });

  it('of nothing is an empty object', () => {
    expect(String(new BodyWriter(scanned('{"a":1}')).bytes())).toBe('{}');
  });

  it('keeps no member that is not there', () => {
    expect(() => new BodyWriter(scanned('{}')).keep(0)).toThrow(/no member 0/);
  });
});

describe('the system prompt of a version', () => {
  const messages = fc.array(
    fc.record({
      role: fc.constantFrom('system', 'user', 'assistant', 'developer'),
      content: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('} ] \\" {', 'ä😀')),
    }),
    { minLength: 1, maxLength: 4 },
  );

  it('comes before the client’s messages, or before the words of its first one of the system, and leaves the rest as it was written', () => {
    fc.assert(
      fc.property(messages, blanks, fc.string({ unit: 'binary' }), (asked, blank, prompt) => {
        const written = asked.map((message) => JSON.stringify(message, null, blank === '' ? 0 : 1));
        const text = `{"a":1,"messages":${blank}[${blank}${written.join(`${blank},${blank}`)}${blank}],"b":2}`;
        const body = scanned(text);
        const writer = new BodyWriter(body);
        for (const [index, member] of body.members.entries())
          if (member.name === 'messages') underSystemPrompt(writer, body, member, prompt);
          else writer.keep(index);
        const made = writer.bytes().toString('utf8');
        const [first, ...rest] = asked;
        const wanted =
          first?.role === 'system'
            ? [{ role: 'system', content: `${prompt}\n\n${first.content}` }, ...rest]
            : [{ role: 'system', content: prompt }, ...asked];
        expect(JSON.parse(made)).toEqual({ a: 1, messages: wanted, b: 2 });
        for (const one of written.slice(first?.role === 'system' ? 1 : 0)) expect(made).toContain(one);
      }),
      { numRuns: 500 },
    );
  });

  it('joins the parts of a first message that has parts', () => {
    const body = scanned('{"messages":[{"role":"system","content":[{"type":"text","text":"Be"},{"type":"text","text":" brief."}]}]}');
    const writer = new BodyWriter(body);
    underSystemPrompt(writer, body, body.members[0] as (typeof body.members)[number], 'Be kind.');
    expect(JSON.parse(String(writer.bytes()))).toEqual({ messages: [{ role: 'system', content: 'Be kind.\n\nBe brief.' }] });
  });

  it('is the only message where there are none', () => {
    const body = scanned('{"messages":[ ]}');
    const writer = new BodyWriter(body);
    underSystemPrompt(writer, body, body.members[0] as (typeof body.members)[number], 'Be kind.');
    expect(JSON.parse(String(writer.bytes()))).toEqual({ messages: [{ role: 'system', content: 'Be kind.' }] });
  });
});
