// Whether an answer declines what was asked, by how it ends or how it opens.

/** Characters of an answer's beginning that tell: a refusal says so at once. */
export const refusalHeadChars = 160;

const cannot =
  "(?:can't|can’t|cannot|can not|won't|won’t|am unable to|am not able to|'m unable to|’m unable to|'m not able to|’m not able to|must decline)";
const openers: readonly RegExp[] = [
  new RegExp(
    `^(?:(?:i'm|i’m|i am) (?:very |so |really )?sorry|sorry|i apologi[sz]e|my apologies|unfortunately)[,.:;!]? (?:but )?(?:as an? [^.!?]{1,60}, )?i ?${cannot}`,
    'i',
  ),
  new RegExp(
    `^i ?${cannot}(?: to)? (?:assist|help|comply|fulfil|provide|answer|do that|support|engage|create|generate|discuss|share)`,
    'i',
  ),
  new RegExp(`^as an? (?:ai|artificial|language|large|assistant)[^.!?]{0,80}[, ]i ?${cannot}`, 'i'),
  /^(?:(?:非常|很|十分)?(?:抱歉|对不起|對不起)|作为(?:一个|一名)?(?:人工智能|AI|语言模型))[^。！？]{0,24}(?:无法|無法|不能|没办法|不可以)/i,
  /^我(?:无法|無法|不能)(?:提供|帮助|協助|协助|回答|满足)/,
  /^(?:lo siento|perdón)[^.!?]{0,24}(?:no puedo|no me es posible)/i,
  /^(?:je suis désolée?|désolée?)[^.!?]{0,24}je ne (?:peux|suis) pas/i,
  /^(?:es tut mir leid|tut mir leid|entschuldigung)[^.!?]{0,24}ich (?:kann|darf)[^.!?]{0,60}nicht/i,
  /^(?:desculpe|sinto muito|lamento)[^.!?]{0,24}não posso/i,
  /^(?:申し訳|すみません)[^。]{0,60}(?:できません|できかねます|お答えできません)/,
];

/**
 * `head`: the answer's first characters; those past `refusalHeadChars` are not read. `finishReason` `content_filter` is a refusal by itself.
 * Words of sympathy alone ("I'm sorry to hear that") are none. Languages: English, Chinese, Spanish, French, German, Portuguese, Japanese.
 */
export function isRefusal(head: string, finishReason: string | null): boolean {
  if (finishReason === 'content_filter') return true;
  const start = head.slice(0, refusalHeadChars).trimStart();
  return openers.some((opener) => opener.test(start));
}
