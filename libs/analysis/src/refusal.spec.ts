// Refusals by how an answer opens or ends.
import { describe, expect, it } from 'vitest';
import { isRefusal } from './refusal.js';

describe('a refusal', () => {
  it.each([
    "I'm sorry, but I can't help with that.",
    'I’m sorry, I can’t assist with this request.',
    'I cannot assist with that.',
    'As an AI language model, I cannot do this.',
    '抱歉，我无法提供这些信息。',
    '对不起，我无法回答。',
    'Lo siento, pero no puedo ayudarte.',
    'Es tut mir leid, aber ich kann dabei nicht helfen.',
    '申し訳ありませんが、お答えできません。',
  ])('is told by its opening: %s', (head) => expect(isRefusal(head, 'stop')).toBe(true));

  it.each([
    "I'm sorry to hear that you can't sleep. Here is what helps:",
    'As an AI researcher, you will need mathematics.',
    'Sorry for the wait! The answer is 4.',
    'I cannot recommend this book enough.',
    '抱歉让您久等了，答案是四。',
    '',
  ])('is not seen in: %s', (head) => expect(isRefusal(head, 'stop')).toBe(false));

  it('is what a content filter ends', () => expect(isRefusal('Well', 'content_filter')).toBe(true));
  it('is not looked for past the head', () => expect(isRefusal(`${'a'.repeat(160)} I cannot assist with that.`, 'stop')).toBe(false));
});
