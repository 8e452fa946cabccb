// Request bodies as strangers send them: good ones in every spelling, nearly good ones, and bytes that were spoiled on the way.
import fc from 'fast-check';

const blank = fc.constantFrom('', '', '', '', '', ' ', '\n  ', '\t', '\r\n');
const characters = fc.constantFrom(
  ...'abc XYZ09{}[]:,/',
  ...[
    'é',
    'Ω',
    '中',
    '😀',
    '\u2028',
    '\u007f',
    '\\n',
    '\\"',
    '\\\\',
    '\\/',
    '\\u0041',
    '\\u00e9',
    '\\ud83d\\ude00',
    '\\ud800',
    '\\u0000',
    '\\b',
  ],
);
const plain = 'the quick brown fox jumps over the lazy dog and ';
const stringInside = fc.oneof(
  { weight: 4, arbitrary: fc.array(characters, { maxLength: 6 }).map((parts) => parts.join('')) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat({ max: 160 }), fc.array(characters, { maxLength: 3 }))
      .map(([length, parts]) => plain.repeat(4).slice(0, length) + parts.join('') + plain.slice(0, length % 40)),
  },
);
const string = stringInside.map((inside) => `"${inside}"`);
const number = fc.constantFrom(
  '0',
  '-0',
  '1',
  '2',
  '5',
  '16',
  '17',
  '20',
  '0.5',
  '1.0',
  '2.5',
  '-1',
  '1e0',
  '1E+2',
  '1e-2',
  '512',
  '1e999',
  '9007199254740993',
  '1048577',
  '123456789012345678901234567890',
);
const literal = fc.constantFrom('true', 'false', 'null');

const spaced = fc.tuple(blank, blank, blank, blank);
const arrayOf = (item, most = 4) =>
  fc.tuple(fc.array(item, { maxLength: most }), spaced).map(([items, [a, b, c, d]]) => `[${a}${items.join(`${b},${c}`)}${d}]`);
const objectOf = (members) => fc.tuple(members, spaced).map(([list, [a, b, c, d]]) => `{${a}${list.join(`${b},${c}`)}${d}}`);
const member = (name, value) => fc.tuple(name, blank, blank, value).map(([n, a, b, v]) => `${n}${a}:${b}${v}`);

const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 3, depthSize: 'small', withCrossShrink: true },
    fc.oneof(string, number, literal),
    arrayOf(tie('json')),
    objectOf(fc.array(member(fc.oneof(string, fc.constantFrom('"role"', '"type"', '"__proto__"')), tie('json')), { maxLength: 4 })),
  ),
}));

/** Now and then something else where one kind of value is expected. */
const mostly = (value, other = json) => fc.oneof({ weight: 30, arbitrary: value }, { weight: 1, arbitrary: other });
/** A name, now and then escaped. */
const spelt = (name) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(`"${name}"`) },
    { weight: 1, arbitrary: fc.constant(`"\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}"`) },
  );
const given = (name, value) => member(spelt(name), mostly(value));
const someOf = (...members) =>
  fc.tuple(fc.subarray(members.map((_, i) => i)), fc.tuple(...members)).map(([picked, all]) => picked.map((i) => all[i]));
const all = (...members) => fc.tuple(...members);
const both = (first, second) => fc.tuple(first, second).map(([a, b]) => [...a, ...b]);

const boolean = fc.constantFrom('true', 'false', 'null');
const bounded = fc.constantFrom('0', '0.5', '1', '1.0', '2', '-2', '0.001', '3', 'null', '1e-1');
const whole = fc.constantFrom('0', '1', '2', '16', '17', '20', '21', '1.0', '1e2', '10.5', '1048576', '1048577', '-1', 'null');
const strings = arrayOf(string, 5);
const sampling = [
  given('temperature', bounded),
  given('top_p', bounded),
  given('max_tokens', whole),
  given('n', whole),
  given('seed', fc.oneof(whole, number)),
  given('stop', fc.oneof(string, strings, fc.constant('null'))),
  given('user', fc.oneof(string, fc.constant(`"${'u'.repeat(513)}"`), fc.constant('null'))),
  given('frequency_penalty', bounded),
  given('presence_penalty', bounded),
  given('logit_bias', fc.constantFrom('{}', '{"1":5,"22":-100}', '{"x":1}', '{"1":101}', 'null')),
  given('top_k', whole),
  given('min_p', bounded),
  given('repeat_penalty', bounded),
  given('grammar', fc.oneof(string, fc.constant('null'))),
];
const stream = [
  given('stream', boolean),
  given(
    'stream_options',
    fc.constantFrom(
      '{"include_usage":true}',
      '{"include_usage":false}',
      '{"include_usage":true,"include_usage":false}',
      '{}',
      'null',
      '{"include_usage":1}',
      '{"x":1}',
      '{"include_obfuscation":true}',
    ),
  ),
];

const role = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('"user"', '"user"', '"assistant"', '"system"', '"developer"', '"tool"') },
  { weight: 1, arbitrary: fc.constantFrom('"User"', '"us\\u0065r"', '"function"', '""', 'null', '3') },
);
const textPart = objectOf(
  fc.oneof(
    { weight: 12, arbitrary: all(member(spelt('type'), fc.constant('"text"')), member(spelt('text'), mostly(string))) },
    {
      weight: 2,
      arbitrary: all(member(spelt('text'), string), member(spelt('type'), fc.constantFrom('"text"', '"image_url"', '"te\\u0078t"'))),
    },
    { weight: 1, arbitrary: all(member(spelt('type'), string)) },
    { weight: 1, arbitrary: all(member(spelt('type'), fc.constant('"text"')), member(spelt('text'), string), member(string, json)) },
  ),
);
const content = fc.oneof(
  { weight: 6, arbitrary: string },
  { weight: 2, arbitrary: arrayOf(textPart, 3) },
  { weight: 1, arbitrary: fc.constant('null') },
);
const message = objectOf(
  fc.oneof(
    { weight: 12, arbitrary: all(member(spelt('role'), role), member(spelt('content'), mostly(content))) },
    { weight: 3, arbitrary: all(member(spelt('content'), mostly(content)), member(spelt('role'), role)) },
    {
      weight: 2,
      arbitrary: both(
        all(member(spelt('role'), role)),
        someOf(
          given('content', content),
          given('name', string),
          given('tool_call_id', string),
          given('tool_calls', arrayOf(json, 2)),
          member(string, json),
        ),
      ),
    },
    { weight: 1, arbitrary: all(member(spelt('role'), role), member(spelt('content'), content), member(spelt('content'), content)) },
  ),
);
const messages = fc.oneof({ weight: 20, arbitrary: arrayOf(mostly(message), 5) }, { weight: 1, arbitrary: arrayOf(message, 40) });

const model = given('model', fc.oneof({ weight: 6, arbitrary: fc.constant('"assistant"') }, { weight: 1, arbitrary: string }));
const stray = fc.oneof(
  { weight: 12, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(member(string, json), { maxLength: 2 }) },
);
const chatOptions = [
  ...stream,
  ...sampling,
  given('max_completion_tokens', whole),
  given('logprobs', boolean),
  given('top_logprobs', whole),
  given('tools', arrayOf(json, 2)),
  given('tool_choice', fc.constantFrom('"auto"', '"none"', 'null')),
  given('parallel_tool_calls', boolean),
  given(
    'response_format',
    fc.constantFrom(
      '{"type":"text"}',
      '{"type":"json_object"}',
      '{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}',
      '{"type":"json_schema"}',
      'null',
      '{"type":"text","type":"json_object"}',
    ),
  ),
  given('metadata', fc.constantFrom('{}', '{"a":"b"}', '{"a":1}', 'null')),
  given('store', boolean),
  given('service_tier', string),
  given('reasoning_effort', fc.constantFrom('"low"', 'null', '1')),
  given('verbosity', string),
  given('modalities', strings),
  given('prediction', json),
  given('prompt_cache_key', string),
  given('safety_identifier', string),
];
const textOptions = [
  ...stream,
  ...sampling,
  given('logprobs', whole),
  given('echo', boolean),
  given('suffix', fc.constantFrom('null', '""', '"x"')),
  given('best_of', whole),
];
const prompt = fc.oneof(
  string,
  arrayOf(string, 5),
  arrayOf(fc.constantFrom('1', '0', '22', '-1', '1.5', '16777216'), 5),
  arrayOf(arrayOf(number, 3), 3),
);

/** Few options of many, in any order, so that most bodies are good. */
const few = (options) =>
  fc
    .tuple(
      fc.shuffledSubarray(
        options.map((_, i) => i),
        { maxLength: 5 },
      ),
      fc.tuple(...options),
    )
    .map(([picked, made]) => picked.map((i) => made[i]));

function bodyOf(...groups) {
  return fc
    .tuple(objectOf(fc.tuple(...groups).map((lists) => lists.flat())), blank, blank)
    .map(([text, before, after]) => before + text + after);
}

/** Texts of chat bodies: good ones and ones with a fault that is no fault of JSON. */
export const chatText = fc.oneof(
  { weight: 6, arbitrary: bodyOf(model, given('messages', messages), few(chatOptions), stray) },
  { weight: 2, arbitrary: bodyOf(few(chatOptions), given('messages', messages), model) },
);

const plainMessage = objectOf(
  fc.oneof(
    { weight: 12, arbitrary: all(member(fc.constant('"role"'), role), member(fc.constant('"content"'), string)) },
    { weight: 3, arbitrary: all(member(spelt('content'), string), member(spelt('role'), role)) },
  ),
);
/** Texts of chat bodies whose messages are plain texts, nearly all of them. */
const plainChatText = bodyOf(
  model,
  member(fc.constant('"messages"'), arrayOf(plainMessage, 5)).map((one) => [one]),
  few(chatOptions),
);

export const completionText = bodyOf(model, given('prompt', prompt), few(textOptions), stray);

const nest = fc
  .tuple(fc.integer({ min: 58, max: 68 }), fc.constantFrom(['[', ']'], ['{"a":', '}']), number)
  .map(([levels, [open, close], inner]) => `{"a":${open.repeat(levels)}${inner}${close.repeat(levels)}}`);

/** Any text that begins as an object, most of them JSON. */
const objectText = fc.oneof(
  {
    weight: 6,
    arbitrary: bodyOf(
      fc.array(member(fc.oneof(string, fc.constantFrom('"model"', '"mod\\u0065l"', '"n"', '"__proto__"')), json), { maxLength: 6 }),
    ),
  },
  { weight: 1, arbitrary: nest },
  { weight: 1, arbitrary: json },
);

const shards = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  ' ',
  '\n',
  '\u0000',
  '\u001f',
  '0',
  '-',
  '1',
  'e',
  '.',
  '+',
  'true',
  'nul',
  'NaN',
  '\\u',
  '\\ud83',
  '\ufeff',
  '"model":"other",',
  '"mod\\u0065l":1,',
  '[[[[[[[[[[[[[[[[',
  '{"a":{"a":{"a":',
  '//',
  "'",
  '\u00e9',
  '"a":1,"a":2',
].map((shard) => Buffer.from(shard));
const badBytes = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf8], [0x80], [0xf4, 0x90, 0x80, 0x80], [0xf0, 0x9f, 0x98]].map(
  (bytes) => Buffer.from(bytes),
);

const place = fc.nat({ max: 0xffff_ffff });
const spoil = fc.oneof(
  fc.record({ how: fc.constant('flip'), place, value: fc.nat({ max: 255 }) }),
  fc.record({ how: fc.constant('bit'), place, value: fc.nat({ max: 7 }) }),
  fc.record({ how: fc.constant('cut'), place, value: fc.nat({ max: 3 }) }),
  fc.record({ how: fc.constant('drop'), place, value: fc.nat({ max: 6 }) }),
  fc.record({ how: fc.constant('repeat'), place, value: fc.nat({ max: 40 }) }),
  fc.record({ how: fc.constant('insert'), place, value: fc.nat({ max: shards.length - 1 }) }),
  fc.record({ how: fc.constant('bad'), place, value: fc.nat({ max: badBytes.length - 1 }) }),
);

function spoiled(bytes, { how, place: anywhere, value }) {
  const at = anywhere % (bytes.length + 1);
  const before = bytes.subarray(0, at);
  const after = bytes.subarray(at);
  switch (how) {
    case 'flip':
      return at === bytes.length ? bytes : Buffer.concat([before, Buffer.of(value), after.subarray(1)]);
    case 'bit':
      return at === bytes.length ? bytes : Buffer.concat([before, Buffer.of(after[0] ^ (1 << value)), after.subarray(1)]);
    case 'cut':
      return value === 0 ? after : before;
    case 'drop':
      return Buffer.concat([before, after.subarray(value)]);
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, value), after]);
    case 'insert':
      return Buffer.concat([before, shards[value], after]);
    default:
      return Buffer.concat([before, badBytes[value], after]);
  }
}

/** The bytes of a text, and of about half of all texts with a few spoiled places. */
function bytesOf(text) {
  return fc
    .tuple(
      text,
      fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fc.array(spoil, { minLength: 1, maxLength: 3 }) }),
    )
    .map(([whole, spoils]) => spoils.reduce(spoiled, Buffer.from(whole)));
}

export const chatBytes = bytesOf(chatText);
export const plainChatBytes = bytesOf(plainChatText);
export const completionBytes = bytesOf(completionText);
export const objectBytes = bytesOf(objectText);
export const anyBytes = fc.oneof(chatBytes, completionBytes, objectBytes);
