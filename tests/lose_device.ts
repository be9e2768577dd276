// Preloaded before a command (`deno run --preload`): the WebGPU device is lost after so many submits, in the middle of
// whatever the command does then.
import { openedDevices } from "./opened_devices.ts";

/** More than the first 50 of 60 steps take, with evaluations on the way and a checkpoint; fewer than all. */
const SUBMITS = 100;

const { devices } = openedDevices();
const { submit } = GPUQueue.prototype;
let submits = 0;
GPUQueue.prototype.submit = function (commands) {
  submit.call(this, commands);
  if (++submits === SUBMITS) devices.at(-1)!.destroy();
};
