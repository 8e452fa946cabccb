// Model files with one thing wrong, made from the bundled ones.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readGguf, text, withEntry, writeGguf } from '../../support/gguf-editor.ts';

const template = 'tokenizer.chat_template';

/** The same weights with the prompt format of another family: what happens when a template is forgotten in a conversion. */
export async function writeWrongTemplate(from, to) {
  const content = readGguf(await readFile(from));
  const wrong =
    "{% for message in messages %}### {{ message['role'] }}:\n{{ message['content'] }}\n\n{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}";
  const stringType = 8;
  await writeFile(to, writeGguf(withEntry(content, template, stringType, text(wrong))));
}

export const modelPath = (root, name) => join(root, `demo-support-${name}.gguf`);
