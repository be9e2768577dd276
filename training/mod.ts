// Training from data to record.
/**
 * Training from data to record: a corpus, its vocabulary and batches, AdamW, evaluation, checkpoints and whole runs.
 * @module
 */
export type { Corpus, CorpusDocument, Texts } from "../data/corpus.ts";
export { loadBrown } from "../data/brown.ts";
export { loadUdhr } from "../data/udhr.ts";
export { parsePlainText } from "../data/plain_text.ts";
export { decodeText, encodeText, type TextDecoding } from "../data/encode.ts";
export { buildVocabulary, type Vocabulary } from "../data/vocabulary.ts";
export { type Dataset, prepare, type PrepareOptions, type Tokens } from "../data/dataset.ts";
export {
  createTokenizer,
  openTokenizer,
  type SpecialOption,
  type Tokenizer,
  type TokenizerFiles,
} from "../data/tokenizer.ts";
export { prepareSubwords } from "../data/subwords.ts";
export {
  type ChatMessage,
  type ChatOptions,
  type ChatTemplate,
  createChatTemplate,
  openChatTemplate,
} from "../data/chat_template.ts";
export { textData } from "../tasks/text.ts";
export {
  type Batch as TokenBatch,
  type BatchShape,
  trainingBatches,
  type TrainingBatchOptions,
  type ValidationBatch,
  validationBatches,
} from "../data/batches.ts";
export { type AdamW, adamWDefaults, type AdamWOptions, createAdamW } from "./optimizer.ts";
export { scoreFunctionLoss, weightedMeanLoss } from "./score_function.ts";
export { type LossTerms, trainingLoss } from "./training_loss.ts";
export { learningRateAt, type Schedule, scheduleDefaults } from "./schedule.ts";
export { type DetailedEvaluation, type Evaluation } from "./evaluate.ts";
export {
  configDigest,
  configOf,
  flatten,
  parseConfig,
  type SettingInfo,
  settingList,
  type Settings,
  withSetting,
} from "./config.ts";
export type {
  Chosen,
  LayerSettings,
  ModelSettings,
  PlacementSettings,
  RunConfig,
  TrainSettings,
} from "./run_schema.ts";
export { specOf } from "./spec_of.ts";
export { createTrainer, type RunOptions, type Trainer } from "./trainer.ts";
export type { RunNames } from "./run_rows.ts";
export type { Importance } from "./importance.ts";
export type { TokenInLayer, TokenLook } from "./look.ts";
export {
  changedExperts,
  type ExpertFlow,
  type Inspection,
  inspectRouting,
  type LayerInspection,
} from "./inspection.ts";
export { mutualInformation } from "./specialisation.ts";
export { type Checkpoint, type CheckpointTensor, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
export { openRunStore, type RunStore, type SavedRun } from "./run_store.ts";
export { withTensorBoard } from "./tensorboard.ts";
export { type LoadedModel, loadModel, type LoadOptions, readModelConfig } from "./load_model.ts";
export type { ExpertCacheStatistics } from "./expert_cache.ts";
export type { ConvertedModel } from "./converted_model.ts";
export { upcycleModel, type UpcyclingChoice } from "./upcycled_model.ts";
export { type Calibration, mergeExperts, pruneExperts, type ResizedModel } from "./fewer_experts.ts";
export type { KeptStep, ModelOrigin } from "./saved_model.ts";
export { train, type Trained, type TrainOptions } from "./train.ts";
export type {
  Answers,
  ChoiceFlow,
  Control,
  EndRow,
  EvaluationRow,
  LabelCounts,
  LayerChoices,
  LayerLoad,
  Machine,
  PointChoices,
  RecordRow,
  RunFlop,
  RunHeader,
  RunRecord,
  Specialisation,
  StepQueue,
  StepRow,
  StepTiming,
  TimingRecord,
} from "./record.ts";
export { parseRecord, parseRecords, recordText } from "./record_text.ts";
