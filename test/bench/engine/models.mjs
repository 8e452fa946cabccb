// The models that are measured, made once into the cache folder.
import { access, mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { makeGguf } from './make-gguf.mjs';

const small = { width: 512, layers: 8, heads: 8, kvHeads: 8, inner: 1408, weights: 'q8_0' };
const class300m = { width: 2048, layers: 4, heads: 32, kvHeads: 8, inner: 5440, weights: 'q4_0' };

/** Raise it when the writer changes what it writes: a kept file would otherwise be an old one. */
const revision = 1;

export const models = {
  'small-32k': { ...small, vocabularySize: 32_000 },
  'small-128k': { ...small, vocabularySize: 128_256 },
  '300m-32k': { ...class300m, vocabularySize: 32_000 },
  '300m-128k': { ...class300m, vocabularySize: 128_256 },
};

/** Path of the model's file, which is made when there is none yet. */
export async function ensureModel(name, folder) {
  const shape = models[name];
  if (!shape) throw new Error(`there is no model ${name}; --models takes ${Object.keys(models).join(', ')}`);
  await mkdir(folder, { recursive: true });
  const file = resolve(folder, `${name}-r${revision}.gguf`);
  const kept = await access(file).then(
    () => true,
    () => false,
  );
  if (!kept) await makeGguf(file, { ...shape, name: `random ${name}`, contextSize: 8_192, seed: 1 });
  return file;
}
