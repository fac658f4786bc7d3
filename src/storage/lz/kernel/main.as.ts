// The entry of the kernel that packs batches: what JavaScript may call. Written in AssemblyScript, compiled by
// `make kernel` into ../kernel-bytes.ts; see docs/adr/0009-compressed-batches.md.

export { pack } from './pack.as'
export { unpack } from './unpack.as'
