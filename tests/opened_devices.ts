// WebGPU devices that a program opens, for tests that take one away behind the program's back as a failing driver does.
import { webgpu, type WebgpuBackend } from "../gpu/backend.ts";

/** What {@linkcode openedDevices} gives; disposing of it lets `requestDevice` be as it was. */
export interface OpenedDevices extends Disposable {
  /** Those opened since, oldest first. */
  readonly devices: readonly GPUDevice[];
}

/** Notes every device that is opened from now on. */
export function openedDevices(): OpenedDevices {
  const devices: GPUDevice[] = [];
  const prototype = GPUAdapter.prototype;
  const { requestDevice } = prototype;
  prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  };
  return { devices, [Symbol.dispose]: () => void (prototype.requestDevice = requestDevice) };
}

/** A WebGPU backend and its device. */
export async function opened(): Promise<{ backend: WebgpuBackend; device: GPUDevice }> {
  using noted = openedDevices();
  const backend = await webgpu();
  return { backend, device: noted.devices[0] };
}

/** What is thrown after the device of {@linkcode opened} was destroyed. */
export const LOST: RegExp = /^Cannot [a-z_ ]+: the device .+ was lost \(destroyed.*\)$/;
