import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ScannedBody, scanBody } from '#libs/openai';
import { chatBytes, completionBytes, plainChatBytes } from '../../../../test/support/request-bodies.mjs';
import { promptClassOf } from '../routing/prompt-class.js';
import { chatEndpoint } from './chat-endpoint.js';
import type { Endpoint } from './endpoint.js';
import { textEndpoint } from './text-endpoint.js';

const spec = { engine: { kind: 'http' }, sampling: { temperature: 0.5 }, systemPrompt: 'Be brief.' } as never;

/** All that the rest of the gateway sees of a body. */
function verdict(endpoint: Endpoint, body: ScannedBody) {
  const read = endpoint.read(body);
  if (!read.ok) return read.fault.error;
  const { shape, needs, affinity, requests, ...figures } = read.value;
  const told = needs.map(({ param, lack }) => ({ param, lack }));
  return { ...figures, promptClass: promptClassOf(shape), needs: told, affinity: affinity(), requests: requests('id', spec) };
}

/** The same body with its names out of place: what is not spelt out is read by a parse of all of it. */
function parsedWhole(body: ScannedBody): ScannedBody {
  return Object.create(body, { members: { value: body.members.map((member) => ({ ...member, at: member.at - 1 })) } }) as ScannedBody;
}

describe.each([
  ['chat', chatEndpoint, fc.oneof(chatBytes, plainChatBytes)],
  ['completions', textEndpoint, completionBytes],
] as const)('a body of %s', (_, endpoint, bodies) => {
  it('is judged and described alike by its outline and by a parse of all of it', () => {
    fc.assert(
      fc.property(bodies, (bytes) => {
        const scanned = scanBody(bytes);
        if (!scanned.ok) return;
        expect(verdict(endpoint, scanned.value)).toEqual(verdict(endpoint, parsedWhole(scanned.value)));
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a long text', () => {
  const texts = [
    'a'.repeat(4_096),
    'a'.repeat(4_097),
    'é'.repeat(4_096),
    '\n'.repeat(5_000),
    `${'中'.repeat(600)}\`\`\``,
    '😀'.repeat(3_000),
  ];

  it.each(texts.map((text) => [text.length, text]))('of %s characters has the class and the affinity that all of it has', (_, text) => {
    for (const spelt of [
      JSON.stringify(text),
      `"${[...text].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`,
    ]) {
      const chat = scanBody(
        Buffer.from(`{"model":"m","messages":[{"role":"system","content":${spelt}},{"role":"user","content":${spelt}}]}`),
      );
      const prompt = scanBody(Buffer.from(`{"model":"m","prompt":${spelt}}`));
      if (!chat.ok || !prompt.ok) throw new Error('not a body');
      expect(verdict(chatEndpoint, chat.value)).toEqual(verdict(chatEndpoint, parsedWhole(chat.value)));
      expect(verdict(textEndpoint, prompt.value)).toEqual(verdict(textEndpoint, parsedWhole(prompt.value)));
    }
  });
});
