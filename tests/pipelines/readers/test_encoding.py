"""Encodings: bytes that were written in one are read as the text that they were."""

import pytest
from sra_pipelines.readers import read_document
from sra_pipelines.readers.encoding import decode_html, decode_text

WESTERN = [
    "Rent £500 a month",
    "The parties agree — rent is €500 a month. “Rent” means this.",
    "Miete: 500 € pro Monat",
    "Size 20°C ± 2 µm",
    "Total: 1\xa0234,50\xa0€",
    "§ 5 Kündigung",
    "Straße",
    "Le loyer est de 500 € par mois, payé à l’avance.",
    "Señor Núñez pagará 500 €",
    "100 m² « net »",
    "½ of the rent – due",
]
OTHERS = [
    ("cp1250", "Nájemné činí 82 400 Kč ročně."),
    ("cp1250", "Czynsz wynosi 500 zł miesięcznie"),
    ("iso-8859-2", "Umowa najmu została zawarta w Łodzi; czynsz płatny co miesiąc."),
    ("iso-8859-15", "Prix: 5 €"),
    ("iso-8859-15", "Le loyer est de 500 € par mois, œuvre."),
    ("mac-roman", "Le café coûte 5 € et l’été dure longtemps."),
    ("cp1251", "Арендная плата составляет 500 рублей"),
    ("koi8-r", "Арендная плата составляет 500 рублей"),
    ("cp1253", "Το μίσθωμα είναι 500 €"),
    ("cp1254", "Kira bedeli 500 lira, yılda bir ödenir; şartları değişmez"),
    ("cp1255", "דמי השכירות הם 500"),
    ("cp1256", "الإيجار هو 500"),
    ("cp1257", "Nuomos mokestis yra 500 eurų per mėnesį, mokamas iš anksto"),
    ("shift_jis", "賃料は月額500円です。"),
    ("gb18030", "租金为每月500元。"),
    ("big5", "租金為每月500元。"),
    ("euc-kr", "임대료는 월 500원입니다."),
    ("cp850", "Die Gebühr für die Prüfung beträgt fünf Kronen"),
    ("utf-16-le", "Rent £500"),
    ("utf-16", "Rent £500"),
    ("utf-8-sig", "Rent £500"),
]


@pytest.mark.parametrize(("encoding", "text"), [*(("cp1252", text) for text in WESTERN), *OTHERS])
def test_text_is_read_in_the_encoding_in_which_it_was_written(tmp_path, encoding, text):
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert read_document(tmp_path / "a.txt").pages[0].text == text


def test_utf8_with_a_damaged_byte_stays_utf8():
    data = "Nájemné činí 82 400 Kč ročně, splatné předem.".encode()
    assert decode_text(data.replace(b"82", b"8\xff")) == data.decode().replace("82", "8\ufffd")


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("iso-8859-1", "cp1252", "Rent €500 – due monthly"),
        ("us-ascii", "cp1252", "Rent €500 – due monthly"),
        ("", "cp1252", "Rent €500 – due monthly"),
        ("", "cp1250", "Nájemné činí 82 400 Kč ročně."),
        ("windows-1250", "cp1250", "Kč"),
        ("iso-8859-1", "utf-8", "Kč"),
        ("utf-8", "cp1252", "Rent €500 – due monthly"),
        ("iso-2022-jp", "iso2022_jp", "賃料"),
        ("gb2312", "gb18030", "租金"),
        ("unknown", "cp1252", "Rent £500"),
    ],
)
def test_html_is_decoded_as_browsers_do(declared, encoding, text):
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={declared}">' if declared else ""
    source = f"<html><head>{meta}</head><body><!-- charset=x --><p>{text}</p></body></html>"
    assert decode_html(source.encode(encoding)) == source
    if declared:
        source = f"<?xml version='1.0' encoding='{declared}'?><html><body><p>{text}</p></body></html>"
        assert decode_html(source.encode(encoding)) == source


def test_bytes_without_a_character_are_no_error():
    assert decode_html(b"<meta charset=windows-1252><p>a\x81b \x80</p>").endswith("<p>a\x81b €</p>")
