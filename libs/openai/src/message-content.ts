// `content` of a message: a text, or parts of which only text can be served, so that a refusal names the very part.
import { z } from 'zod';

const mostParts = 1_024;

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

export type MessageContent = string | readonly TextPart[];

/** Names of text parts in both of OpenAI's APIs, and what a model said instead of an answer. */
const textParts: Readonly<Record<string, string>> = { text: 'text', input_text: 'text', output_text: 'text', refusal: 'refusal' };

const notServed: Readonly<Record<string, string>> = {
  image_url: 'images',
  input_image: 'images',
  input_audio: 'audio',
  file: 'files',
  input_file: 'files',
  video_url: 'videos',
};

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Issues carry the path of the part at fault; what passes is a string or text parts. */
export const messageContent = z.unknown().transform((value, context): MessageContent => {
  const refuse = (path: PropertyKey[], message: string): typeof z.NEVER => {
    context.issues.push({ code: 'custom', input: value, path, message });
    return z.NEVER;
  };
  if (typeof value === 'string') return value;
  if (!Array.isArray(value) || value.length === 0 || value.length > mostParts) {
    return refuse([], `must be a string or an array of 1 to ${mostParts} text parts`);
  }
  const parts: TextPart[] = [];
  for (const [index, part] of value.entries()) {
    if (!isObject(part) || typeof part['type'] !== 'string') return refuse([index], 'must be an object with a "type"');
    const type = part['type'];
    const field = textParts[type];
    if (field === undefined) {
      const what = notServed[type] ?? `parts of type "${type.slice(0, 40)}"`;
      return refuse([index, 'type'], `${what} are not served; send text parts only`);
    }
    const text = part[field];
    if (typeof text !== 'string') return refuse([index, field], 'must be a string');
    parts.push({ type: 'text', text });
  }
  return parts;
});

/** Plain text: parts joined, nothing for null (an assistant turn that only called tools). */
export function textOf(value: MessageContent | null | undefined): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : value.map((part) => part.text).join('');
}
