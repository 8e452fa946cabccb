// The bodies that are asked: chats of 2 KB and 50 KB as applications send them, with a number of answers' tokens that the upstream obeys.

const sentence =
  'The customer wrote that the parcel with order number 48213 has not arrived although tracking says \\"delivered\\" since Tuesday. ';

function messages(bytes) {
  const turns = bytes > 10_000 ? 20 : 3;
  const each = Math.ceil((bytes - 200) / turns);
  const text = JSON.parse(`"${sentence.repeat(Math.ceil(each / sentence.length))}"`);
  return [
    { role: 'system', content: 'You are a helpful assistant of a web shop. Answer in one or two sentences.' },
    ...Array.from({ length: turns }, (_, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content: text.slice(0, each - 40) })),
  ];
}

/** `note` goes into the prompt, where the upstream looks for `ref:NAME` and `do:FAULT`. */
export function chat({ model, bytes = 2_048, stream = false, tokens = stream ? 64 : 8, topLogprobs = null, note = null }) {
  return JSON.stringify({
    model,
    messages: [...messages(bytes), ...(note === null ? [] : [{ role: 'user', content: note }])],
    temperature: 0.7,
    max_tokens: tokens,
    ...(stream ? { stream: true } : {}),
    ...(topLogprobs === null ? {} : { logprobs: true, top_logprobs: topLogprobs }),
  });
}
