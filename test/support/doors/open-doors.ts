// A server with all of its doors open, and clients of each.

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerProcess } from '../server-process.ts'
import { type DoorClient, type DoorName, doorNames } from './door-client.ts'
import { GrpcDoor } from './grpc-door.ts'
import { HttpDoor } from './http-door.ts'
import { LineDoor } from './line-door.ts'

let sockets = 0

/** Settings of a server, and where its Unix socket is. */
export function openDoors(): Readonly<Record<string, string>> & { readonly UNIX_SOCKET: string } {
  const socket = join(tmpdir(), `flashq-doors-${process.pid}-${++sockets}.sock`)
  return { HTTP: '1', HTTP_PORT: '0', GRPC: '1', GRPC_PORT: '0', UNIX_SOCKET: socket }
}

/** A client of its own, closed when the test has finished. */
export function openDoor(
  name: DoorName,
  server: ServerProcess,
  socket: string,
  token: string | null = null,
): Promise<DoorClient> {
  switch (name) {
    case 'TCP':
      return LineDoor.open(name, { host: '127.0.0.1', port: server.port }, token)
    case 'Unix':
      return LineDoor.open(name, { path: socket }, token)
    case 'HTTP':
      return Promise.resolve(new HttpDoor(server.httpPort, token))
    case 'gRPC':
      return Promise.resolve(new GrpcDoor(Number(server.find('ready')?.['grpcPort']), token))
  }
}

export async function openEveryDoor(
  server: ServerProcess,
  socket: string,
): Promise<Record<DoorName, DoorClient>> {
  const open = doorNames.map(async (name) => [name, await openDoor(name, server, socket)] as const)
  return Object.fromEntries(await Promise.all(open)) as Record<DoorName, DoorClient>
}
