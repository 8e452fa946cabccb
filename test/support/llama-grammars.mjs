// Reads [{grammar, texts}] from stdin and prints, per grammar, whether llama.cpp matches each text; null for a grammar that it refuses.
import { text } from 'node:stream/consumers';
import { getLlama } from 'node-llama-cpp';

const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'disabled' });
const answers = [];
for (const { grammar, texts } of JSON.parse(await text(process.stdin))) {
  const read = await llama.createGrammar({ grammar }).catch(() => null);
  answers.push(read && texts.map((each) => read._testText(each)));
}
// After a line end: the library prints the grammars that it refuses.
process.stdout.write(`\n${JSON.stringify(answers)}`, () => process.exit(0));
