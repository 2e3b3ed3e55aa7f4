/**
 * Unsigned inputs: structures of TPMs, event logs of firmware, images, conversations with a TPM.
 *
 * @module
 */
import { EVENT_TYPE } from "../../attestation/eventlog/event_types.ts";
import { le, utf16, writeEvent, writeLog } from "../../attestation/eventlog/testing/event_logs.ts";
import { CERTIFICATE_GUID, guidBytes } from "../../attestation/kinds/snp/certificate_table.ts";
import { decodePayload } from "../../attestation/kinds/tpm/payload.ts";
import { encodePcrSelection } from "../../attestation/kinds/tpm/pcr_selection.ts";
import { tpmWriter } from "../../attestation/kinds/tpm/wire.ts";
import { BACK_FRAMES, FRONT_FRAMES } from "../../channel/relay_frames.ts";
import { kernelSection, writePe } from "../../attestation/uki/testing/images.ts";
import { writeSmbios } from "../../node/testing/smbios.ts";
import { concat, utf8 } from "../../platform/bytes.ts";
import type { Bytes } from "../../platform/bytes.ts";
import { fileOf } from "./_corpus_signed.ts";
import type { CorpusFiles } from "./_corpus_signed.ts";
import { writeScript } from "./_script.ts";

const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);

/** All unsigned structures of the corpus. */
export function structureFiles(signed: CorpusFiles): CorpusFiles {
  const payload = decodePayload(fileOf(signed, "tpm-evidence/by-issuer.bin"));
  const vcek = fileOf(signed, "certificate/vcek.der");
  return {
    "relay-front/exchange.bin": concat(
      FRONT_FRAMES.encode({ kind: "exchange", service: 2, binding: filled(32, 7), peer: "192.0.2.7:40000" }),
      FRONT_FRAMES.encode({ kind: "message", bytes: filled(40, 1) }),
    ),
    "relay-front/errands.bin": concat(
      FRONT_FRAMES.encode({ kind: "errands" }),
      FRONT_FRAMES.encode({ kind: "document", number: 1, status: 200, body: filled(40, 1) }),
    ),
    "relay-front/listening.bin": FRONT_FRAMES.encode({ kind: "listening", port: 9443 }),
    "dial-line/ipv4.bin": utf8("10.0.0.1:2379"),
    "dial-line/ipv6.bin": utf8("[fd00::1]:2379"),
    "relay-back/exchange.bin": concat(
      ...([{ kind: "await" }, { kind: "alive" }, { kind: "trusted" }, {
        kind: "message",
        bytes: filled(40, 1),
      }] as const)
        .map((frame) => BACK_FRAMES.encode(frame)),
      BACK_FRAMES.encode({ kind: "refused", code: 7, text: "refused/pcr-4", refusal: filled(9, 1) }),
    ),
    "relay-back/errands.bin": concat(
      BACK_FRAMES.encode({ kind: "fetch", number: 1, url: "https://cache.example/amd-milan-vcek.crl" }),
      BACK_FRAMES.encode({ kind: "ended" }),
    ),
    "tpm-structures/attest.bin": concat(payload.attest),
    "tpm-structures/signature.bin": concat(payload.signature),
    "tpm-structures/ak.bin": concat(payload.attestationKey),
    "tpm-device/issue.bin": writeScript(conversation(payload)),
    "tpm-device/activate.bin": writeScript([
      answer(sized(payload.endorsementKey), sized(filled(34, 1)), sized(filled(34, 1))),
      handleAnswer(0x80000000, sized(payload.attestationKey)),
      answer(sized(payload.endorsementKey), sized(filled(34, 1)), sized(filled(34, 1))),
      handleAnswer(0x03000000, sized(filled(32, 1)), false),
      sessionAnswer(sized(filled(0, 0)), filled(8, 0)),
      sessionAnswer(sized(filled(32, 5))),
      answer(),
      answer(),
    ]),
    "tpm-challenge/challenge.bin": writeScript([sized(filled(100, 1)), sized(filled(256, 2))]),
    "snp-structures/table.bin": certificateTable([[CERTIFICATE_GUID.vcek, vcek]]),
    "smbios/text.bin": writeSmbios("io.systemd.credential:bootstrapper.config=version: 1\n"),
    "smbios/base64.bin": writeSmbios("other", "io.systemd.credential.binary:bootstrapper.config=dmVyc2lvbjogMQo="),
    ...logFiles(),
    ...imageFiles(),
  };
}

const sized = (bytes: Uint8Array): Bytes => tpmWriter().sized16(bytes).done();

/** A TPM's response without sessions. */
function answer(...parameters: readonly Uint8Array[]): Bytes {
  const body = concat(...parameters);
  return tpmWriter().u16(0x8001).u32(10 + body.length).u32(0).bytes(body).done();
}

/** A TPM's response with one session. */
function sessionAnswer(...parameters: readonly Uint8Array[]): Bytes {
  const body = concat(...parameters);
  const rest = tpmWriter().u32(body.length).bytes(body).sized16(filled(0, 0)).u8(1).sized16(filled(0, 0)).done();
  return tpmWriter().u16(0x8002).u32(10 + rest.length).u32(0).bytes(rest).done();
}

/** A TPM's response with a handle. */
function handleAnswer(handle: number, parameters: Uint8Array, hasSession = true): Bytes {
  const plain = hasSession ? sessionAnswer(parameters) : answer(parameters);
  const head = tpmWriter().u16(hasSession ? 0x8002 : 0x8001).u32(plain.length + 4).u32(0).u32(handle).done();
  return concat(head, plain.subarray(10));
}

/** A TPM's responses while evidence is made. */
function conversation(payload: ReturnType<typeof decodePayload>): Bytes[] {
  const { endorsementKey, attestationKey, certificate, attest, signature, pcrs } = payload;
  const chunks = Array.from(
    { length: Math.ceil(certificate.length / 512) },
    (_, i) => certificate.subarray(512 * i, 512 * (i + 1)),
  );
  const nvPublic = tpmWriter().u32(0x01c00002).u16(0xb).u32(0).sized16(filled(0, 0)).u16(certificate.length).done();
  const pcrAnswer = (first: number) => {
    const numbers = Array.from({ length: 8 }, (_, i) => first + i);
    const values = numbers.map((pcr) => sized(pcrs[pcr] ?? filled(32, 0)));
    return answer(filled(4, 0), encodePcrSelection(numbers), tpmWriter().u32(8).done(), ...values);
  };
  return [
    answer(sized(endorsementKey), sized(filled(34, 1)), sized(filled(34, 1))),
    answer(sized(nvPublic), sized(filled(34, 1))),
    ...chunks.map((chunk) => sessionAnswer(sized(chunk))),
    handleAnswer(0x80000000, sized(attestationKey)),
    pcrAnswer(0),
    pcrAnswer(8),
    sessionAnswer(sized(attest), signature),
    answer(),
  ];
}

/** The certificate table that the host supplies with a report. */
function certificateTable(entries: readonly (readonly [guid: string, content: Uint8Array])[]): Bytes {
  let offset = 24 * (entries.length + 1);
  const table = entries.map(([guid, content]) => {
    const entry = concat(guidBytes(guid), le(offset, 4), le(content.length, 4));
    offset += content.length;
    return entry;
  });
  return concat(...table, filled(24, 0), ...entries.map(([, content]) => content));
}

function logFiles(): CorpusFiles {
  const variable = (name: string, value: Uint8Array) =>
    concat(filled(16, 0x8b), le(name.length, 8), le(value.length, 8), utf16(name), value);
  const path = concat(
    ...[Uint8Array.of(1, 1), le(6, 2), Uint8Array.of(0, 3)],
    ...[Uint8Array.of(2, 1), le(12, 2), le(0x0a0341d0, 4), le(0, 4)],
    ...[Uint8Array.of(4, 1), le(42, 2), le(1, 4), filled(16, 1), filled(16, 2), Uint8Array.of(2, 2)],
    ...[Uint8Array.of(4, 4), le(4 + 12, 2), utf16("\\a.efi")],
    ...[Uint8Array.of(3, 24), le(8, 2), utf8("http"), Uint8Array.of(3, 11), le(10, 2), filled(6, 9)],
    Uint8Array.of(0x7f, 0xff, 4, 0),
  );
  const option = concat(le(1, 4), le(path.length, 2), utf16("Linux\0"), path, utf8("quiet"));
  const table = concat(filled(84, 1), le(128, 4), le(0, 4), le(1, 8), filled(56, 2), utf16("root".padEnd(36, "\0")));
  const events = [
    { pcr: 0, type: EVENT_TYPE.noAction, data: concat(utf8("StartupLocality\0"), Uint8Array.of(3)) },
    { pcr: 7, type: EVENT_TYPE.variableDriverConfig, data: variable("SecureBoot", Uint8Array.of(1)) },
    { pcr: 1, type: EVENT_TYPE.variableBoot, data: variable("BootOrder", Uint8Array.of(1, 0)) },
    { pcr: 1, type: EVENT_TYPE.variableBoot2, data: variable("Boot0001", option) },
    {
      pcr: 4,
      type: EVENT_TYPE.bootServicesApplication,
      data: concat(le(1, 8), le(2, 8), le(3, 8), le(path.length, 8), path),
    },
    { pcr: 5, type: EVENT_TYPE.gpt, data: table },
    { pcr: 0, type: EVENT_TYPE.firmwareBlob, data: concat(le(4096, 8), le(512, 8)) },
    { pcr: 0, type: EVENT_TYPE.firmwareBlob2, data: concat(Uint8Array.of(4), utf8("blob"), le(4096, 8), le(512, 8)) },
    { pcr: 9, type: EVENT_TYPE.eventTag, data: concat(le(0x8f3b22ec, 4), le(5, 4), utf8("quiet")) },
    { pcr: 11, type: EVENT_TYPE.ipl, data: utf8(".linux"), measured: utf8(".linux\0") },
    { pcr: 8, type: EVENT_TYPE.ipl, data: utf8("grub_cmd: boot\0"), measured: utf8("boot") },
    { pcr: 4, type: EVENT_TYPE.separator, data: filled(4, 0) },
  ];
  const old = concat(le(0, 4), le(EVENT_TYPE.separator, 4), filled(20, 1), le(4, 4), filled(4, 0));
  return {
    "event-log/agile.bin": writeLog(events),
    "event-log/old.bin": concat(old, old),
    "event-log/one.bin": concat(
      writeLog([]),
      writeEvent({ pcr: 4, type: EVENT_TYPE.efiAction, data: utf8("Calling EFI") }),
    ),
  };
}

function imageFiles(): CorpusFiles {
  const stub = { name: ".sdmagic", content: utf8("#### LoaderInfo: systemd-stub 252.39-1 ####\0") };
  return {
    "uki/uki.bin": writePe([stub, { name: ".osrel", content: utf8("ID=debian\n") }, {
      name: ".cmdline",
      content: utf8("quiet\0"),
    }, kernelSection("kernel")]),
    "uki/profiles.bin": writePe([
      { name: ".sdmagic", content: utf8("#### LoaderInfo: systemd-stub 257.13-1 ####\0") },
      kernelSection("kernel"),
      ...[".sbat", ".dtbauto", ".hwids", ".profile", ".cmdline", ".profile"].map((name) => ({
        name,
        content: utf8(`ID=${name}\n`),
      })),
    ]),
    "uki/boot.bin": writePe([{ name: ".data", content: utf8("\0#### LoaderInfo: systemd-boot 252.39-1 ####\0") }]),
    "uki/shim.bin": writePe([{ name: ".sbat", content: utf8("sbat,1,SBAT\nshim,4,UEFI shim\n") }]),
    "uki/signed.bin": writePe([kernelSection("kernel", 0), stub], { certificates: filled(16, 0x30) }),
  };
}
