// Reads a rollout plan from a file, YAML or JSON: what pipelines keep beside their code.
import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type PlanInput, planInput } from '#libs/contract';
import { CliError, exitCodes } from '../exit-codes.js';

/** Throws CliError naming the file, and the line or every wrong field. JSON is YAML too. */
export async function readPlan(path: string): Promise<PlanInput> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new CliError(exitCodes.unexpected, `--plan: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}).`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const [broken] = document.errors;
  if (broken) throw new CliError(exitCodes.unexpected, `--plan: ${path} is neither YAML nor JSON: ${broken.message.trim()}`);
  const parsed = planInput.safeParse(unfolded(document, path));
  if (parsed.success) return parsed.data;
  throw new CliError(
    exitCodes.unexpected,
    `--plan: ${path} is not a plan:\n${z.prettifyError(parsed.error)}`,
    'Mend the named fields; what is left out is filled from the default plan of the model.',
  );
}

/** Aliases that unfold without end are refused by the parser. */
function unfolded(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new CliError(exitCodes.unexpected, `--plan: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
