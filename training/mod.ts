// Training from data to record.
/**
 * Training from data to record: a corpus, its vocabulary and batches, AdamW, evaluation, checkpoints and whole runs.
 * @module
 */
export type { Corpus, CorpusDocument } from "./corpus.ts";
export { loadBrown } from "./brown.ts";
export { parsePlainText } from "./plain_text.ts";
export { buildVocabulary, type Vocabulary } from "./vocabulary.ts";
export { type Dataset, prepare, type PrepareOptions } from "./dataset.ts";
export {
  type Batch as TokenBatch,
  type BatchShape,
  trainingBatches,
  type TrainingBatchOptions,
  type ValidationBatch,
  validationBatches,
} from "./batches.ts";
export { type AdamW, adamWDefaults, type AdamWOptions, createAdamW } from "./optimizer.ts";
export { learningRateAt, type Schedule, scheduleDefaults } from "./schedule.ts";
export { type DetailedEvaluation, evaluate, evaluateInDetail, type Evaluation } from "./evaluate.ts";
export { mutualInformation } from "./specialisation.ts";
export { type Checkpoint, type CheckpointTensor, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
export { openRunStore, type RunStore, type SavedRun } from "./run_store.ts";
export type { TrainOptions, TrainPlan } from "./plan.ts";
export { train } from "./train.ts";
export type {
  EndRow,
  EvaluationRow,
  LayerLoad,
  RecordRow,
  RunHeader,
  RunRecord,
  Specialisation,
  StepQueue,
  StepRow,
  StepTiming,
  TimingRecord,
} from "./record.ts";
export { parseRecord, recordText } from "./record.ts";
