// What is asked: the same token ids for every participant, so that no tokenizer and no template is part of the comparison.
import { firstPiece } from './make-vocabulary.mjs';

const beginToken = 1;
/** Below every vocabulary that is measured. */
const lastPiece = 30_000;

/** `length` ids beginning with the begin token; requests with different numbers share nothing else. */
export function promptTokens(number, length) {
  return [beginToken, ...Array.from({ length: length - 1 }, (_, at) => pieceAt(number * 7_919 + at * 104_729))];
}

/** Ids to feed where the answer's own tokens are not looked at. */
export function pieceAt(number) {
  return firstPiece + (number % (lastPiece - firstPiece));
}

/** `count` requests; `round` makes them differ from earlier ones, so that no cache can answer. */
export function requestsOf({ count, promptLength, outputTokens, round }) {
  return Array.from({ length: count }, (_, index) => ({ tokens: promptTokens(1 + round * 1_009 + index, promptLength), outputTokens }));
}
