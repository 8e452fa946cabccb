// What is not a ratio to a peer: behaviour under cancels, deaths and overload, and the coin.
import { assignmentRow } from './assignment.mjs';
import { cancelRow } from './cancel.mjs';
import { deathRow } from './deaths.mjs';
import { overloadRow } from './overload.mjs';

export const stressRows = [cancelRow, deathRow, overloadRow, assignmentRow];
