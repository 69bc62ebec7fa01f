/**
 * How a product of bytes wants its weights. ONNX Runtime multiplies unsigned rows by signed weights fastest, with the
 * dot products of bytes that newer x86 processors (VNNI) and ARM have. Older x86 processors do that with sums that
 * overflow, so weights are unsigned there. Both give the same sums, bit for bit.
 * Knows the processor's flags only.
 */
import { readFileSync } from 'node:fs';

export type ByteForm = 'signed' | 'unsigned';

/** @param cpuinfo text of /proc/cpuinfo */
export function byteForm(cpuinfo: string, arch: string): ByteForm {
  if (arch !== 'x64') return 'signed';
  return /^flags\s*:.*\b(avx512_vnni|avx_vnni)\b/m.test(cpuinfo) ? 'signed' : 'unsigned';
}

/** Of this machine. A machine that does not tell gets the form that is right everywhere. */
export function byteFormHere(): ByteForm {
  try {
    return byteForm(readFileSync('/proc/cpuinfo', 'utf8'), process.arch);
  } catch {
    return byteForm('', process.arch);
  }
}
