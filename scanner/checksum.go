package scanner

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"
)

// checksums are the checks that key formats bring themselves. Each reports
// whether a value may be real: a format without a checksum in this form passes.
// A value that fails is no key, and one that passes needs no other proof.
//
// Sources: GitHub, "Behind GitHub's new authentication token formats"
// https://github.blog/engineering/behind-githubs-new-authentication-token-formats/
// (npm and NetBird follow it); Grafana pkg/components/satokengen; GitLab
// lib/authn/token_field/generator/routable_token.rb; Azure
// https://github.com/microsoft/security-utilities (Marvin checksums). Cloudflare documents
// that there is one (https://developers.cloudflare.com/fundamentals/api/get-started/token-formats);
// that it is a CRC-32, as Vercel's, was found by computing it for public samples.
var checksums = map[string]func(v []byte) bool{
	"github":              afterUnderscore,
	"npm":                 afterUnderscore,
	"netbird":             afterUnderscore,
	"github-fine-grained": githubFineGrained,
	"grafana":             grafana,
	"gitlab-routable":     gitlabRoutable,
	"atlassian":           atlassian,
	"azure-marvin":        azureMarvin,
	"vercel":              vercel,
	"cloudflare":          cloudflare,
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// afterUnderscore checks prefix_ + 30 characters + 6 of base62 CRC-32.
func afterUnderscore(v []byte) bool {
	_, body, ok := bytes.Cut(v, []byte("_"))
	if !ok || len(body) != 36 {
		return true // another form, such as ghs_ with a JWT: no checksum known
	}
	sum := body[30:]
	want := inBase(crc32.ChecksumIEEE(body[:30]), base62, 6)
	return string(sum) == want || strings.TrimLeft(want, "0") == strings.TrimSpace(string(sum))
}

func githubFineGrained(v []byte) bool {
	body, ok := bytes.CutPrefix(v, []byte("github_pat_"))
	if !ok || len(body) < 7 {
		return false
	}
	n := len(body) - 6
	return string(body[n:]) == inBase(crc32.ChecksumIEEE(body[:n]), base62, 6)
}

func grafana(v []byte) bool {
	n := len(v) - 9 // _ and 8 hexadecimal digits
	if n <= 0 || v[n] != '_' {
		return false
	}
	var le [4]byte
	binary.LittleEndian.PutUint32(le[:], crc32.ChecksumIEEE(v[:n]))
	return strings.EqualFold(string(v[n+1:]), fmt.Sprintf("%x", le))
}

// gitlabRoutable checks prefix-PAYLOAD.LLCCCCCCC, two digits of length and 7 of
// base36 CRC-32. Older tokens have no dots and no checksum.
func gitlabRoutable(v []byte) bool {
	i := bytes.LastIndexByte(v, '.')
	if i < 0 || len(v)-i != 10 {
		return true
	}
	n := len(v) - 7
	return string(v[n:]) == inBase(crc32.ChecksumIEEE(v[:n]), "0123456789abcdefghijklmnopqrstuvwxyz", 7)
}

// vercel checks vc?_ + 50 characters + 6 of base62 CRC-32.
func vercel(v []byte) bool {
	_, body, ok := bytes.Cut(v, []byte("_"))
	return ok && len(body) == 56 && string(body[50:]) == inBase(crc32.ChecksumIEEE(body[:50]), base62, 6)
}

// cloudflare checks cf*_ + 40 characters + 8 hexadecimal digits of CRC-32.
func cloudflare(v []byte) bool {
	_, body, ok := bytes.Cut(v, []byte("_"))
	return ok && len(body) == 48 && string(body[40:]) == fmt.Sprintf("%08x", crc32.ChecksumIEEE(body[:40]))
}

func atlassian(v []byte) bool {
	n := len(v) - 8
	return n > 0 && string(v[n:]) == fmt.Sprintf("%08X", crc32.ChecksumIEEE(v[:n]))
}

// azureSeeds are the seeds of the Marvin checksums of Azure's identifiable
// keys, read as big-endian text: IoT Hub, device provisioning, IoT devices,
// storage and its siblings, Cosmos DB.
var azureSeeds = []string{"IoTHub00", "DpsKey00", "Device00", "Default0", "MastRW00", "MastRO00", "AppRW000", "AppRO000"}

// azureMarvin checks a base64 key whose last 4 decoded bytes are a Marvin
// checksum of the others. It is asked only about keys that carry the mark of
// the identifiable form; older keys have none and pass.
func azureMarvin(v []byte) bool {
	raw, err := base64.StdEncoding.DecodeString(string(v))
	if err != nil || len(raw) < 16 {
		return false
	}
	if !bytes.Contains(v, []byte("AIoT")) && !bytes.Contains(v, []byte("+ASt")) && !bytes.Contains(v, []byte("ACDb")) {
		return true
	}
	body, sum := raw[:len(raw)-4], binary.LittleEndian.Uint32(raw[len(raw)-4:])
	for _, s := range azureSeeds {
		seed := binary.BigEndian.Uint64([]byte(s))
		h := marvin32(seed, body)
		if h == sum || bits.ReverseBytes32(h) == sum {
			return true
		}
	}
	return false
}

// marvin32 is Microsoft's Marvin hash, folded to 32 bits.
// https://github.com/dotnet/runtime/blob/main/src/libraries/System.Private.CoreLib/src/System/Marvin.cs
func marvin32(seed uint64, data []byte) uint32 {
	lo, hi := uint32(seed), uint32(seed>>32)
	mix := func(v uint32) {
		lo += v
		hi ^= lo
		lo = bits.RotateLeft32(lo, 20) + hi
		hi = bits.RotateLeft32(hi, 9) ^ lo
		lo = bits.RotateLeft32(lo, 27) + hi
		hi = bits.RotateLeft32(hi, 19)
	}
	for len(data) >= 4 {
		mix(binary.LittleEndian.Uint32(data))
		data = data[4:]
	}
	last := uint32(0x80)
	for i := len(data) - 1; i >= 0; i-- {
		last = last<<8 | uint32(data[i])
	}
	mix(last)
	mix(0)
	return lo ^ hi
}

// inBase writes n with the given digits, padded to width with the first.
func inBase(n uint32, digits string, width int) string {
	var out [16]byte
	i := len(out)
	for n > 0 || len(out)-i < width {
		i--
		out[i] = digits[n%uint32(len(digits))]
		n /= uint32(len(digits))
	}
	return string(out[i:])
}
