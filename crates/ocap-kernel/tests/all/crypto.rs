//! `crypto` and `SubtleCrypto`, against published vectors where there are any.

use serde_json::json;

use crate::endowments::launch_with;
use crate::house::{House, ask};

const METHODS: &str = "
    hex: (...args) => hexOf(...args),
    random: () => {
      const a = crypto.getRandomValues(new Uint8Array(16));
      const b = crypto.getRandomValues(new Uint32Array(4));
      return [a.some(x => x !== 0), b.some(x => x !== 0), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()),
        crypto.subtle instanceof SubtleCrypto];
    },
    refused: async () => [
      await text((async () => crypto.getRandomValues(new Float32Array(4)))()),
      await text((async () => crypto.getRandomValues(new Uint8Array(65537)))()),
      await text((async () => new SubtleCrypto())()),
      await text(crypto.subtle.digest('MD5', utf8('x'))),
    ],
    digest: async name => hexOf(await crypto.subtle.digest(name, utf8('abc'))),
    hmac: async () => {
      const algorithm = { name: 'HMAC', hash: 'SHA-256' };
      const key = await crypto.subtle.importKey('raw', utf8('Jefe'), algorithm, false, ['sign', 'verify']);
      const data = utf8('what do ya want for nothing?');
      const tag = await crypto.subtle.sign('HMAC', key, data);
      const bad = new Uint8Array(tag.slice(0)); bad[0] ^= 1;
      return [hexOf(tag), await crypto.subtle.verify('HMAC', key, tag, data),
        await crypto.subtle.verify('HMAC', key, bad, data), await text(crypto.subtle.exportKey('raw', key)),
        key.type, key.extractable, key.usages.join()];
    },
    aes: async () => {
      const seen = [];
      for (const length of [128, 192, 256]) {
        const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length }, true, ['encrypt', 'decrypt']);
        const again = await crypto.subtle.importKey('jwk', await crypto.subtle.exportKey('jwk', key),
          'AES-GCM', false, ['decrypt']);
        const algorithm = { name: 'AES-GCM', iv: crypto.getRandomValues(new Uint8Array(12)), additionalData: utf8('more') };
        const sealed = await crypto.subtle.encrypt(algorithm, key, utf8('secret'));
        seen.push(sealed.byteLength, fromUtf8(await crypto.subtle.decrypt(algorithm, again, sealed)));
        seen.push(await text(crypto.subtle.decrypt({ ...algorithm, additionalData: utf8('less') }, key, sealed)));
        seen.push(await text(crypto.subtle.encrypt(algorithm, again, sealed)));
      }
      // Test case 4 of the GCM specification.
      const key = await crypto.subtle.importKey('raw', unhex('feffe9928665731c6d6a8f9467308308'), 'AES-GCM', false, ['encrypt']);
      const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: unhex('cafebabefacedbaddecaf888'),
        additionalData: unhex('feedfacedeadbeeffeedfacedeadbeefabaddad2') }, key,
        unhex('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'));
      seen.push(hexOf(sealed).slice(-32));
      return seen;
    },
    pairs: async () => {
      const seen = [];
      for (const algorithm of [{ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }, { name: 'Ed25519' }]) {
        const { publicKey, privateKey } = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
        const data = utf8('signed');
        const signature = await crypto.subtle.sign(algorithm, privateKey, data);
        const bad = new Uint8Array(signature.slice(0)); bad[5] ^= 1;
        seen.push(signature.byteLength, await crypto.subtle.verify(algorithm, publicKey, bad, data));
        for (const format of ['raw', 'spki', 'jwk']) {
          const exported = await crypto.subtle.exportKey(format, publicKey);
          const again = await crypto.subtle.importKey(format, exported, algorithm, true, ['verify']);
          seen.push(await crypto.subtle.verify(algorithm, again, signature, data));
        }
        for (const format of ['pkcs8', 'jwk']) {
          const exported = await crypto.subtle.exportKey(format, privateKey);
          const again = await crypto.subtle.importKey(format, exported, algorithm, true, ['sign']);
          const signed = await crypto.subtle.sign(algorithm, again, data);
          seen.push(await crypto.subtle.verify(algorithm, publicKey, signed, data));
        }
        seen.push(await text(crypto.subtle.importKey('raw', new Uint8Array(7), algorithm, true, ['verify'])));
      }
      return seen;
    },
    ed25519: async () => {
      // RFC 8032, test 2.
      const pkcs8 = unhex('302e020100300506032b657004220420' + '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
      const key = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']);
      const { x } = await crypto.subtle.exportKey('jwk', key);
      return [x, hexOf(await crypto.subtle.sign('Ed25519', key, unhex('72'))).slice(0, 32)];
    },
    derive: async () => {
      // RFC 5869, test 1; RFC 7914, section 11.
      const ikm = await crypto.subtle.importKey('raw', new Uint8Array(22).fill(11), 'HKDF', false, ['deriveBits', 'deriveKey']);
      const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: unhex('000102030405060708090a0b0c'), info: unhex('f0f1f2f3f4f5f6f7f8f9') };
      const password = await crypto.subtle.importKey('raw', utf8('passwd'), 'PBKDF2', false, ['deriveBits']);
      const pbkdf2 = { name: 'PBKDF2', hash: 'SHA-256', salt: utf8('salt'), iterations: 1 };
      const key = await crypto.subtle.deriveKey(hkdf, ikm, { name: 'AES-GCM', length: 256 }, true, ['encrypt']);
      return [hexOf(await crypto.subtle.deriveBits(hkdf, ikm, 336)), key.algorithm.length,
        hexOf(await crypto.subtle.deriveBits(pbkdf2, password, 512)).slice(0, 32),
        await text(crypto.subtle.deriveBits(hkdf, ikm, 8 * 255 * 32 + 8))];
    },
    grind: async () => {
      const key = await crypto.subtle.importKey('raw', utf8('p'), 'PBKDF2', false, ['deriveBits']);
      return crypto.subtle.deriveBits({ name: 'PBKDF2', hash: 'SHA-512', salt: utf8('s'), iterations: 4e9 }, key, 512);
    },";

const HELPERS: &str = "
    const hexOf = data => [...new Uint8Array(data)].map(b => b.toString(16).padStart(2, '0')).join('');
    const unhex = text => Uint8Array.from(text.match(/../g), two => parseInt(two, 16));
    const utf8 = text => new TextEncoder().encode(text);
    const fromUtf8 = data => new TextDecoder().decode(data);
    harden([hexOf, unhex, utf8, fromUtf8]);";

#[tokio::test]
async fn keys_digests_and_signatures_are_what_they_should_be() {
    let house = House::new();
    let kernel = house.start().await;
    let globals = ["crypto", "SubtleCrypto", "TextEncoder", "TextDecoder"];
    let methods = METHODS.trim_end_matches(',');
    let root = launch_with(&house, &kernel, &globals, &json!({}), HELPERS, methods).await.unwrap();
    let call = |method| ask(&kernel, root, method, json!([]));
    assert_eq!(call("random").await, "#[true,true,true,true]");
    let refused = call("refused").await;
    for text in
        ["TypeMismatchError", "QuotaExceededError", "Illegal constructor", "NotSupportedError"]
    {
        assert!(refused.contains(text), "{text}: {refused}");
    }
    for (name, start) in [
        ("SHA-1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("SHA-384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"),
        ("SHA-512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"),
    ] {
        let digest = ask(&kernel, root, "digest", json!([name])).await;
        assert!(digest.starts_with(&format!("#\"{start}")), "{name}: {digest}");
    }
    assert_eq!(
        call("hmac").await,
        r#"#["5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",true,false,"InvalidAccessError: the key is not extractable","secret",false,"sign,verify"]"#
    );
    let bad = r#""OperationError: the data cannot be decrypted","InvalidAccessError: the key is not to be used for encrypt""#;
    assert_eq!(
        call("aes").await,
        format!(
            r#"#[22,"secret",{bad},22,"secret",{bad},22,"secret",{bad},"5bc94fbc3221a5db94fae95ae7121a47"]"#
        )
    );
    let good = r#"64,false,true,true,true,true,true,"DataError: not a public key""#;
    assert_eq!(call("pairs").await, format!("#[{good},{good}]"));
    assert_eq!(
        call("ed25519").await,
        r#"#["PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw","92a009a9f0d4cab8720e820b5f642540"]"#
    );
    assert_eq!(
        call("derive").await,
        r#"#["3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",256,"55ac046e56e3089fec1691c22544b605","OperationError: more bits than can be derived"]"#
    );
    // Work that nothing can interrupt is refused before it begins.
    let answer = call("grind").await;
    assert!(answer.contains("VAT_FATAL") && answer.contains("ticks"), "{answer}");
    kernel.stop().await.unwrap();
}
