"""What onecard says to subscribers by text, in their language. Short: a segment costs the operator money."""

from __future__ import annotations

from enum import Enum

from onecard.switching.model import TextRefusal
from onecard.values.language import Language

EN, FR, HANS, HANT = (
    Language.ENGLISH,
    Language.FRENCH,
    Language.CHINESE_SIMPLIFIED,
    Language.CHINESE_TRADITIONAL,
)


class Phrase(Enum):
    """Something to say; braces hold what is filled in."""

    BALANCE = "balance"
    LINE = "line"
    PRIMARY_LINE = "primary_line"
    STATE_ON = "state_on"
    STATE_OFF = "state_off"
    LINE_SWITCHED_ON = "line_switched_on"
    LINE_SWITCHED_OFF = "line_switched_off"
    NO_LINE_IN_SLOT = "no_line_in_slot"
    HELP = "help"
    NOT_UNDERSTOOD = "not_understood"
    NOT_SENT = "not_sent"


WORDS: dict[Phrase, dict[Language, str]] = {
    Phrase.BALANCE: {
        EN: "Your balance is {amount}.",
        FR: "Votre solde est de {amount}.",
        HANS: "您的余额为{amount}。",
        HANT: "您的餘額為{amount}。",
    },
    Phrase.PRIMARY_LINE: {
        EN: "Main: {number} {state}",
        FR: "Principale : {number} {state}",
        HANS: "主号：{number} {state}",
        HANT: "主號：{number} {state}",
    },
    Phrase.LINE: {
        EN: "Line {slot}: {number} {state}",
        FR: "Ligne {slot} : {number} {state}",
        HANS: "副号{slot}：{number} {state}",
        HANT: "副號{slot}：{number} {state}",
    },
    Phrase.STATE_ON: {EN: "on", FR: "active", HANS: "开", HANT: "開"},
    Phrase.STATE_OFF: {EN: "off", FR: "inactive", HANS: "关", HANT: "關"},
    Phrase.LINE_SWITCHED_ON: {
        EN: "Line {slot} ({number}) is on.",
        FR: "La ligne {slot} ({number}) est active.",
        HANS: "副号{slot}（{number}）已开启。",
        HANT: "副號{slot}（{number}）已開啟。",
    },
    Phrase.LINE_SWITCHED_OFF: {
        EN: "Line {slot} ({number}) is off. Codes from banks still arrive.",
        FR: "La ligne {slot} ({number}) est inactive. Les codes des banques arrivent toujours.",
        HANS: "副号{slot}（{number}）已关闭。银行验证码仍会送达。",
        HANT: "副號{slot}（{number}）已關閉。銀行驗證碼仍會送達。",
    },
    Phrase.NO_LINE_IN_SLOT: {
        EN: "You have no line {slot} that can be switched.",
        FR: "Vous n'avez pas de ligne {slot} à activer ou désactiver.",
        HANS: "您没有可以开关的副号{slot}。",
        HANT: "您沒有可以開關的副號{slot}。",
    },
    Phrase.HELP: {
        EN: "Text {code}: BALANCE, LINES, LINE 1 ON, LINE 1 OFF. To use line 1, dial {code} 1 and the number.",
        FR: "Textez au {code} : SOLDE, LIGNES, LIGNE 1 ON, LIGNE 1 OFF. Pour utiliser la ligne 1, composez {code} 1"
        " puis le numéro.",
        HANS: "发送至{code}：余额、号码、副号1开、副号1关。用副号1发短信或打电话，请在号码前加{code}1。",
        HANT: "傳送至{code}：餘額、號碼、副號1開、副號1關。用副號1發短訊或打電話，請在號碼前加{code}1。",
    },
    Phrase.NOT_UNDERSTOOD: {
        EN: "We did not understand. Text HELP to {code}.",
        FR: "Nous n'avons pas compris. Textez AIDE au {code}.",
        HANS: "未能识别您的指令。请发送“帮助”至{code}。",
        HANT: "未能識別您的指令。請傳送「幫助」至{code}。",
    },
    Phrase.NOT_SENT: {
        EN: "Your text to {far} was not sent and not charged: {reason}.",
        FR: "Votre texto au {far} n'a été ni envoyé ni facturé : {reason}.",
        HANS: "您发往{far}的短信未发送，未收费：{reason}。",
        HANT: "您發往{far}的短訊未傳送，未收費：{reason}。",
    },
}

REASONS: dict[TextRefusal, dict[Language, str]] = {
    TextRefusal.CREDIT_EXHAUSTED: {
        EN: "the balance is too low",
        FR: "le solde est insuffisant",
        HANS: "余额不足",
        HANT: "餘額不足",
    },
    TextRefusal.NO_LINE_IN_SLOT: {
        EN: "your card has no such line",
        FR: "votre carte n'a pas cette ligne",
        HANS: "您的卡没有该副号",
        HANT: "您的卡沒有該副號",
    },
    TextRefusal.LINE_OFF: {
        EN: "the line is off",
        FR: "la ligne est inactive",
        HANS: "该号码已关闭",
        HANT: "該號碼已關閉",
    },
    TextRefusal.BAD_DESTINATION: {
        EN: "this is not a phone number",
        FR: "ce n'est pas un numéro de téléphone",
        HANS: "号码有误",
        HANT: "號碼有誤",
    },
    TextRefusal.NO_RATE: {
        EN: "this destination is not served",
        FR: "cette destination n'est pas desservie",
        HANS: "不支持该目的地",
        HANT: "不支援該目的地",
    },
}
"""What is said to a subscriber whose own text was refused. Other refusals are the network's affair."""


def say(phrase: Phrase, language: Language, **values: object) -> str:
    """Fill a phrase in."""
    return WORDS[phrase][language].format(**values)
