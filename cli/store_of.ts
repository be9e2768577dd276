// The files of one run of a command, in the process that trains it.
import { openRunStore, type RunStore } from "../training/run_store.ts";
import { withTensorBoard } from "../training/tensorboard.ts";

/** Where runs of a command write. */
export interface Folders {
  readonly folder: string;
  /** Where they write TensorBoard's event files, each in a folder of its own; null = nowhere. */
  readonly tensorBoard: string | null;
}

/** A run's store; its folders must exist. */
export function storeOf(folders: Folders, run: string): RunStore {
  const store = openRunStore(folders.folder, run);
  const events = tensorBoardFolder(folders, run);
  return events === null ? store : withTensorBoard(store, events);
}

/** Where a run's event file goes; null = nowhere. */
export function tensorBoardFolder({ tensorBoard }: Pick<Folders, "tensorBoard">, run: string): string | null {
  return tensorBoard === null ? null : `${tensorBoard}/${run}`;
}
