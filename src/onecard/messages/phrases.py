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
    TOPPED_UP = "topped_up"
    VOUCHER_YOURS = "voucher_yours"
    VOUCHER_BAD_PIN = "voucher_bad_pin"
    VOUCHER_UNKNOWN = "voucher_unknown"
    VOUCHER_USED = "voucher_used"
    VOUCHER_EXPIRED = "voucher_expired"
    VOUCHER_VOID = "voucher_void"
    VOUCHER_OTHER_CURRENCY = "voucher_other_currency"
    VOUCHER_LOCKED = "voucher_locked"
    VOUCHER_NO_ACCOUNT = "voucher_no_account"
    TOP_UPS_ENDED = "top_ups_ended"
    PORT_PIN = "port_pin"
    PORT_OUTS_ENDED = "port_outs_ended"
    LOW_BALANCE = "low_balance"
    ALLOWANCE_USED = "allowance_used"
    ALLOWANCE_USED_UP = "allowance_used_up"
    ALLOWANCE_USED_TO_END = "allowance_used_to_end"
    ALLOWANCE_ENDED = "allowance_ended"
    ALLOWANCE_EXPIRES = "allowance_expires"
    PLAN_RENEWS = "plan_renews"
    PLAN_RENEWED = "plan_renewed"
    PLAN_RENEWED_FREE = "plan_renewed_free"
    PLAN_NOT_RENEWED = "plan_not_renewed"
    PLAN_ENDED = "plan_ended"
    PAYEE_CHANGED = "payee_changed"
    PLAN_STOPPED = "plan_stopped"
    UNITS_CALL = "units_call"
    UNITS_TEXT = "units_text"
    UNITS_DATA = "units_data"


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
        EN: "Text {code}: BALANCE, LINES, LINE 1 ON, LINE 1 OFF, TOPUP and PIN. To use line 1, dial {code} 1"
        " and the number.",
        FR: "Textez au {code} : SOLDE, LIGNES, LIGNE 1 ON, LIGNE 1 OFF, RECHARGE et code. Pour utiliser la ligne 1,"
        " composez {code} 1 puis le numéro.",
        HANS: "发送至{code}：余额、号码、副号1开、副号1关、充值加密码。用副号1发短信或打电话，请在号码前加{code}1。",
        HANT: "傳送至{code}：餘額、號碼、副號1開、副號1關、儲值加密碼。用副號1發短訊或打電話，請在號碼前加{code}1。",
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
    Phrase.TOPPED_UP: {
        EN: "{amount} added. Your balance is {balance}.",
        FR: "{amount} ajoutés. Votre solde est de {balance}.",
        HANS: "已充值{amount}，余额为{balance}。",
        HANT: "已增值{amount}，餘額為{balance}。",
    },
    Phrase.VOUCHER_YOURS: {
        EN: "You have used this voucher: {amount} were added. Your balance is {balance}.",
        FR: "Vous avez déjà utilisé ce bon de {amount}. Votre solde est de {balance}.",
        HANS: "您已使用过此充值卡（{amount}）。余额为{balance}。",
        HANT: "您已使用過此增值券（{amount}）。餘額為{balance}。",
    },
    Phrase.VOUCHER_BAD_PIN: {
        EN: "This PIN is not right. Text TOPUP and its 16 digits to {code}.",
        FR: "Ce code est erroné. Textez RECHARGE et ses 16 chiffres au {code}.",
        HANS: "密码有误。请发送“充值”加16位密码至{code}。",
        HANT: "密碼有誤。請傳送「儲值」加16位密碼至{code}。",
    },
    Phrase.VOUCHER_UNKNOWN: {
        EN: "There is no voucher with this PIN. Nothing was added. Please check it.",
        FR: "Aucun bon n'a ce code. Rien n'a été ajouté. Veuillez le vérifier.",
        HANS: "没有此密码的充值卡，未充值，请核对。",
        HANT: "沒有此密碼的增值券，未增值，請核對。",
    },
    Phrase.VOUCHER_USED: {
        EN: "This voucher was used by somebody else. Nothing was added.",
        FR: "Ce bon a été utilisé par quelqu'un d'autre. Rien n'a été ajouté.",
        HANS: "此充值卡已被他人使用，未充值。",
        HANT: "此增值券已被他人使用，未增值。",
    },
    Phrase.VOUCHER_EXPIRED: {
        EN: "This voucher has expired. Nothing was added.",
        FR: "Ce bon est expiré. Rien n'a été ajouté.",
        HANS: "此充值卡已过期，未充值。",
        HANT: "此增值券已過期，未增值。",
    },
    Phrase.VOUCHER_VOID: {
        EN: "This voucher is not valid any more. Nothing was added.",
        FR: "Ce bon n'est plus valable. Rien n'a été ajouté.",
        HANS: "此充值卡已作废，未充值。",
        HANT: "此增值券已作廢，未增值。",
    },
    Phrase.VOUCHER_OTHER_CURRENCY: {
        EN: "This voucher is in another currency than your account. Nothing was added.",
        FR: "Ce bon est dans une autre devise que votre compte. Rien n'a été ajouté.",
        HANS: "此充值卡与您账户的币种不同，未充值。",
        HANT: "此增值券與您帳戶的幣別不同，未增值。",
    },
    Phrase.VOUCHER_LOCKED: {
        EN: "Too many wrong PINs. Nothing was added. Please try again in an hour.",
        FR: "Trop de codes erronés. Rien n'a été ajouté. Réessayez dans une heure.",
        HANS: "密码错误次数过多，未充值，请一小时后再试。",
        HANT: "密碼錯誤次數過多，未增值，請一小時後再試。",
    },
    Phrase.VOUCHER_NO_ACCOUNT: {
        EN: "This card can not be topped up any more. Nothing was added.",
        FR: "Cette carte ne peut plus se recharger. Rien n'a été ajouté.",
        HANS: "此卡已无法充值，未充值。",
        HANT: "此卡已無法增值，未增值。",
    },
    Phrase.TOP_UPS_ENDED: {
        EN: "Top-ups have ended. Nothing was added. Please keep your voucher.",
        FR: "Les recharges ont pris fin. Rien n'a été ajouté. Veuillez garder votre bon.",
        HANS: "充值业务已停止，未充值，请保留充值卡。",
        HANT: "增值服務已停止，未增值，請保留增值券。",
    },
    Phrase.PORT_PIN: {
        EN: "PIN to take your numbers along: {pin}. Tell it to your new operator only. Good until {day}.",
        FR: "NIP pour transférer vos numéros : {pin}. Ne le donnez qu'à votre nouvel opérateur. Jusqu'au {day}.",
        HANS: "携号转网授权码：{pin}，有效期至{day}。请仅告知您的新运营商。",
        HANT: "攜號轉網授權碼：{pin}，有效期至{day}。請只告知您的新電訊商。",
    },
    Phrase.PORT_OUTS_ENDED: {
        EN: "Numbers can no longer be taken to another operator.",
        FR: "Les transferts de numéros ont pris fin.",
        HANS: "携号转网业务已停止。",
        HANT: "攜號轉網服務已停止。",
    },
    Phrase.LOW_BALANCE: {
        EN: "Your balance is low: {amount}. Please top up.",
        FR: "Votre solde est bas : {amount}. Veuillez recharger.",
        HANS: "您的余额不足：{amount}，请及时充值。",
        HANT: "您的餘額不足：{amount}，請及時增值。",
    },
    Phrase.ALLOWANCE_USED: {
        EN: "80% of your {granted} is used: {left} left. After that your balance pays.",
        FR: "80 % de votre forfait de {granted} est utilisé : reste {left}. Ensuite votre solde paie.",
        HANS: "您的{granted}已用80%，剩余{left}。用完后由余额支付。",
        HANT: "您的{granted}已用80%，尚餘{left}。用完後由餘額支付。",
    },
    Phrase.ALLOWANCE_USED_UP: {
        EN: "Your {granted} is used up. From now on your balance pays.",
        FR: "Votre forfait de {granted} est épuisé. Votre solde paie désormais.",
        HANS: "您的{granted}已用完，此后由余额支付。",
        HANT: "您的{granted}已用完，此後由餘額支付。",
    },
    Phrase.ALLOWANCE_USED_TO_END: {
        EN: "80% of your {granted} is used: {left} left until {day}.",
        FR: "80 % de votre forfait de {granted} est utilisé : reste {left} jusqu'au {day}.",
        HANS: "您的{granted}已用80%，剩余{left}，有效期至{day}。",
        HANT: "您的{granted}已用80%，尚餘{left}，有效期至{day}。",
    },
    Phrase.ALLOWANCE_ENDED: {
        EN: "Your {granted} is used up; no more can be used until {day}.",
        FR: "Votre forfait de {granted} est épuisé, jusqu'au {day}.",
        HANS: "您的{granted}已用完，{day}前无法继续使用。",
        HANT: "您的{granted}已用完，{day}前無法繼續使用。",
    },
    Phrase.ALLOWANCE_EXPIRES: {
        EN: "{left} of yours will expire on {day} if not used.",
        FR: "{left} de votre forfait expirent le {day} si vous ne les utilisez pas.",
        HANS: "您剩余的{left}将于{day}到期。",
        HANT: "您尚餘的{left}將於{day}到期。",
    },
    Phrase.PLAN_RENEWS: {
        EN: "Your plan {plan} renews on {day} for {amount}. Keep enough on your balance.",
        FR: "Votre forfait {plan} se renouvelle le {day} pour {amount}. Gardez un solde suffisant.",
        HANS: "您的套餐{plan}将于{day}续订，费用{amount}，请保证余额充足。",
        HANT: "您的套餐{plan}將於{day}續訂，費用{amount}，請確保餘額充足。",
    },
    Phrase.PLAN_RENEWED: {
        EN: "Your plan {plan} is renewed until {day} for {amount}.",
        FR: "Votre forfait {plan} est renouvelé jusqu'au {day} pour {amount}.",
        HANS: "您的套餐{plan}已续订至{day}，费用{amount}。",
        HANT: "您的套餐{plan}已續訂至{day}，費用{amount}。",
    },
    Phrase.PLAN_RENEWED_FREE: {
        EN: "Your plan {plan} is renewed until {day}, free of charge.",
        FR: "Votre forfait {plan} est renouvelé gratuitement jusqu'au {day}.",
        HANS: "您的套餐{plan}已免费续订至{day}。",
        HANT: "您的套餐{plan}已免費續訂至{day}。",
    },
    Phrase.PLAN_NOT_RENEWED: {
        EN: "Your plan {plan} could not be renewed: it costs {amount}. Top up: we try again daily until {day}.",
        FR: "Forfait {plan} non renouvelé ({amount}). Rechargez : nous réessayons chaque jour jusqu'au {day}.",
        HANS: "您的套餐{plan}未能续订，需{amount}。请充值，我们每天重试至{day}。",
        HANT: "您的套餐{plan}未能續訂，需{amount}。請增值，我們每天重試至{day}。",
    },
    Phrase.PLAN_ENDED: {
        EN: "Your plan {plan} has ended. You now pay for what you use.",
        FR: "Votre forfait {plan} a pris fin. Vous payez désormais à l'usage.",
        HANS: "您的套餐{plan}已终止，此后按使用量计费。",
        HANT: "您的套餐{plan}已終止，此後按使用量計費。",
    },
    Phrase.PAYEE_CHANGED: {
        EN: "The account your refund is paid to was changed. It is not paid before {day}. Not you? Call us at once.",
        FR: "Le compte de votre remboursement a changé. Rien n'est versé avant le {day}. Pas vous ? Appelez-nous.",
        HANS: "您的退款收款账户已更改，{day}之前不会付款。若非本人操作，请立即联系我们。",
        HANT: "您的退款收款帳戶已更改，{day}之前不會付款。若非本人操作，請立即聯絡我們。",
    },
    Phrase.PLAN_STOPPED: {
        EN: "Your plan {plan} has ended. Plans are not renewed any more.",
        FR: "Votre forfait {plan} a pris fin. Les forfaits ne sont plus renouvelés.",
        HANS: "您的套餐{plan}已终止，套餐不再续订。",
        HANT: "您的套餐{plan}已終止，套餐不再續訂。",
    },
    Phrase.UNITS_CALL: {
        EN: "{count} min of calls",
        FR: "{count} min d'appels",
        HANS: "{count}分钟通话",
        HANT: "{count}分鐘通話",
    },
    Phrase.UNITS_TEXT: {
        EN: "{count} texts",
        FR: "{count} textos",
        HANS: "{count}条短信",
        HANT: "{count}則短訊",
    },
    Phrase.UNITS_DATA: {
        EN: "{count} MB of data",
        FR: "{count} Mo de données",
        HANS: "{count}MB流量",
        HANT: "{count}MB數據",
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
    TextRefusal.TEXTS_ENDED: {
        EN: "texts have ended",
        FR: "les textos ont pris fin",
        HANS: "短信业务已停止",
        HANT: "短訊服務已停止",
    },
    TextRefusal.SECONDARY_LINES_ENDED: {
        EN: "secondary numbers have ended",
        FR: "les numéros secondaires ont pris fin",
        HANS: "副号业务已停止",
        HANT: "副號服務已停止",
    },
    TextRefusal.CARD_VOID: {
        EN: "the card was not activated in time",
        FR: "la carte n'a pas été activée à temps",
        HANS: "此卡未在期限内激活",
        HANT: "此卡未在期限內啟用",
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
