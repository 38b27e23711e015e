package web

import (
	"fmt"
	"net/http"
	"time"

	"ssobridge/store"
)

// spanish says the same as english, key by key; a test compares the two.
var spanish = catalogue{
	lang: "es",
	words: map[string]string{
		"help":           "Obtener ayuda",
		"reference":      "Referencia",
		"reference.why":  "Indique esta referencia cuando pida ayuda.",
		"again":          "Intentar de nuevo",
		"back":           "Volver a {provider}",
		"login.title":    "Iniciar sesión",
		"login.lead":     "para continuar en {provider}",
		"login.login":    "Nombre de usuario",
		"login.password": "Contraseña",
		"login.submit":   "Iniciar sesión",
		"login.forgot":   "¿Olvidó su contraseña?",
		"login.newpass":  "Establecer una contraseña nueva",

		"factor.title":         "Un paso más",
		"factor.lead":          "Demuestre que es usted para continuar a {provider}",
		"factor.use":           "Usar su clave de acceso",
		"factor.failed":        "La clave de acceso no se usó. Inténtelo de nuevo o use un código.",
		"factor.script":        "Su clave de acceso no puede usarse porque su navegador no ejecuta scripts. Use un código.",
		"factor.code":          "Código de su aplicación de autenticación",
		"factor.lost":          "Si no tiene su dispositivo, escriba aquí uno de sus códigos de recuperación.",
		"factor.spare":         "Código de recuperación",
		"factor.sparehint":     "Si no tiene su clave de acceso, escriba uno de los códigos que guardó.",
		"factor.submit":        "Continuar",
		"factor.person":        "Ha iniciado sesión como {login}.",
		"factor.invitehint":    "Su administrador le da un código de invitación, válido un día y una sola vez. Confirma este dispositivo para la consola.",
		"factor.totp":          "Aplicación de autenticación",
		"factor.passkey":       "Clave de acceso",
		"factor.recovery_code": "Códigos de recuperación",

		"enrol.title":      "Proteja su inicio de sesión",
		"enrol.lead":       "Para {provider} necesita algo más que su contraseña. Configúrelo una vez: lleva un minuto.",
		"enrol.offered":    "Con algo más que su contraseña, nadie que solo la haya robado entra en {provider}. Configurarlo lleva un minuto.",
		"enrol.another":    "Añada otra forma de demostrar que es usted.",
		"enrol.invite":     "Código de invitación",
		"enrol.invitehint": "Se lo da un administrador. Vale un día.",
		"enrol.passkey":    "Con una clave de acceso",
		"enrol.passkeyhow": "Su dispositivo le pide el dedo, la cara o su PIN. También sirve una llave de seguridad.",
		"enrol.passkeygo":  "Configurar una clave de acceso",
		"enrol.app":        "Con una aplicación de autenticación",
		"enrol.scan":       "Abra la aplicación en su teléfono y escanee esta imagen.",
		"enrol.picture":    "Código QR para su aplicación de autenticación",
		"enrol.type":       "Si no puede escanearla, escriba esta clave en la aplicación:",
		"enrol.code":       "Código que la aplicación muestra ahora",
		"enrol.submit":     "Activar",
		"enrol.later":      "Ahora no",
		"enrol.back":       "Volver",

		"recovery.title": "Guarde estos códigos",
		"recovery.lead":  "Cada uno le deja entrar una vez si pierde su dispositivo. Solo se muestran ahora.",
		"recovery.list":  "Códigos de recuperación",
		"recovery.keep":  "Imprímalos o guárdelos junto a sus contraseñas.",
		"recovery.go":    "Los he guardado",

		"factors.title":   "Cómo demuestra que es usted",
		"factors.lead":    "Lo que se pide a {login} además de la contraseña.",
		"factors.added":   "Añadido hace {time}.",
		"factors.used":    "Usado por última vez hace {time}.",
		"factors.damaged": "Ya no puede usarse: quítelo.",
		"factors.remove":  "Quitar",
		"factors.left":    "Quedan {count} sin usar.",
		"factors.renew":   "Crear otros nuevos",
		"factors.none":    "Nada hasta ahora: basta su contraseña para entrar.",
		"factors.add":     "Añadir otra forma",

		"notice.title":  "¿Ha sido usted?",
		"notice.added":  "{kind}: añadido hace {time} para demostrar que es usted.",
		"notice.you":    "Si lo añadió usted, continúe. Se confiará más en él en uno de sus próximos inicios de sesión.",
		"notice.remove": "¿No ha sido usted? Quítelo.",
		"notice.ask":    "Si no puede, avise enseguida a su servicio de ayuda: alguien puede conocer su contraseña.",
		"notice.go":     "He sido yo, continuar",

		"choose.title":  "Elija una cuenta",
		"choose.lead":   "¿Qué cuenta de {provider} desea abrir?",
		"choose.person": "Ha iniciado sesión como {person}.",
		"choose.not":    "¿No es usted? Cerrar sesión",
		"choose.list":   "Cuentas",

		"wait.title":    "Preparando su acceso",
		"wait.lead":     "{provider} necesita un usuario para usted antes de dejarle entrar. Esta página continúa sola.",
		"wait.account":  "Cuenta",
		"wait.step1":    "Ha iniciado sesión",
		"wait.step2":    "Se está creando su usuario en {provider}",
		"wait.step3":    "Continuar a {provider}",
		"wait.done":     "hecho",
		"wait.now":      "en curso",
		"wait.next":     "pendiente",
		"wait.check":    "Comprobar de nuevo",
		"wait.close":    "Puede cerrar esta página. Su lugar se conserva: vuelva a seguir su enlace más tarde.",
		"wait.ready":    "Listo. Le llevamos allí.",
		"wait.first":    "Usted es la siguiente persona.",
		"wait.one":      "Hay una persona delante de usted.",
		"wait.many":     "Hay {count} personas delante de usted.",
		"wait.expected": "Debería tardar {time}.",
		"wait.retry":    "El próximo intento será en {time}.",
		"wait.soon":     "El próximo intento está en curso.",

		"switch.title": "Un momento, por favor",
		"switch.lead":  "{provider} está intercambiando un certificado de seguridad con nosotros. El inicio de sesión continúa en cuanto termine, y esta página continúa sola.",
		"switch.left":  "Tiempo restante",
		"switch.until": "Continúa en {time}.",

		"confirm.title": "¿Desea iniciar sesión?",
		"confirm.text":  "Otro sitio le ha enviado aquí para iniciar sesión. Si no era su intención, simplemente cierre esta página.",
		"confirm.go":    "Iniciar sesión",

		"goon.title":    "Un momento: seguimos con el inicio de sesión",
		"deliver.title": "Iniciando su sesión",
		"deliver.lead":  "Le llevamos a {provider}.",
		"deliver.how":   "Si no ocurre nada, use el botón.",
		"deliver.go":    "Continuar",

		"finished.title": "Este inicio de sesión ha terminado",
		"finished.text":  "Ya se ha usado y no puede usarse otra vez. Si llegó aquí con el botón de retroceso, probablemente ya ha iniciado sesión.",
		"finished.again": "Iniciar sesión de nuevo",

		"signedout.title": "Ha cerrado la sesión",
		"signedout.text":  "Su sesión aquí ha terminado. Es posible que {product} y otros servicios la mantengan abierta: ciérrela también allí. En un equipo compartido, cierre además el navegador.",
		"signedout.again": "Iniciar sesión de nuevo",

		"logout.title":  "¿Cerrar la sesión?",
		"logout.text":   "Ha iniciado sesión como {login}.",
		"logout.submit": "Cerrar sesión",
		"logout.stay":   "Mantener la sesión",
		"logout.used":   "Con este inicio de sesión también usó:",
		"logout.all":    "Cerrar sesión en todas partes",
		"logout.here":   "Cerrar sesión solo aquí",

		"signingout.title":   "Cerrando su sesión en todas partes",
		"signingout.asked":   "Cerró la sesión en {provider}. También queda cerrada aquí.",
		"signingout.lead":    "Su sesión aquí está cerrada. Ahora se avisa a los servicios que usó, uno tras otro.",
		"signingout.next":    "El siguiente es {provider}. Esta página continúa sola.",
		"signingout.waiting": "{provider} no ha respondido. Esta página continuará pronto sin él.",
		"signingout.go":      "Continuar",
		"signingout.skip":    "Omitir {provider}",

		"signedout.all":  "Ha cerrado la sesión aquí y en todos los servicios que usó.",
		"signedout.open": "Ha cerrado la sesión aquí. Donde se indica abajo, puede seguir abierta: ciérrela también allí. En un equipo compartido, cierre además el navegador.",
		"signedout.back": "Volver a {provider}",
		"signedout.list": "Servicios",

		"carry.title": "Cerrando su sesión",
		"carry.lead":  "Le llevamos a {provider}.",

		"sessions.title":  "Dónde tiene la sesión abierta",
		"sessions.lead":   "Todos los navegadores con la sesión de {login}.",
		"sessions.here":   "Este navegador",
		"sessions.other":  "Otro navegador",
		"sessions.since":  "Sesión iniciada hace {time},",
		"sessions.seen":   "usada por última vez hace {time}.",
		"sessions.end":    "Cerrar esa sesión",
		"sessions.leave":  "Cerrar sesión aquí",
		"sessions.others": "Cerrar sesión en todos los demás",
		"sessions.note":   "Los servicios que se abrieron desde un navegador pueden seguir con la sesión abierta allí.",
		"sessions.back":   "Volver",

		"home.title":    "Le damos la bienvenida",
		"home.in":       "Ha iniciado sesión como {login}.",
		"home.out":      "No ha iniciado sesión.",
		"home.open":     "Abrir {product}",
		"home.signin":   "Iniciar sesión en {product}",
		"home.logout":   "Cerrar sesión",
		"home.sessions": "Dónde tiene la sesión abierta",
		"home.finish":   "Terminar de cerrar sesión en todas partes",
	},

	problems: map[string]problem{
		"bad_credentials":           {Text: "El nombre de usuario o la contraseña no son correctos. Compruebe ambos e inténtelo de nuevo. Tras varios intentos fallidos, el inicio de sesión se bloquea un tiempo."},
		"locked":                    {Text: "El nombre de usuario o la contraseña no son correctos. Compruebe ambos e inténtelo de nuevo. Tras varios intentos fallidos, el inicio de sesión se bloquea un tiempo."},
		"disabled":                  {Text: "Su usuario está desactivado. Pida a su servicio de asistencia que lo active de nuevo.", Link: linkHelp},
		"expired":                   {Text: "Su usuario ha llegado a su fecha de vencimiento. Pida a su servicio de asistencia que la amplíe.", Link: linkHelp},
		"password_expired":          {Text: "Su contraseña ha caducado. Establezca una nueva e inicie sesión con ella.", Link: linkForgot},
		"must_change":               {Text: "Debe establecer una contraseña propia antes de poder iniciar sesión aquí.", Link: linkForgot},
		"not_now":                   {Text: "No tiene permiso para iniciar sesión a esta hora.", Link: linkHelp},
		"not_here":                  {Text: "No tiene permiso para iniciar sesión desde aquí.", Link: linkHelp},
		"ambiguous":                 {Text: "Este nombre de usuario corresponde a más de una persona. Use el completo o pregunte a su servicio de asistencia.", Link: linkHelp},
		"bad_data":                  {Text: "Sus datos en el directorio no están completos, por lo que no puede iniciar sesión. Pregunte a su servicio de asistencia.", Link: linkHelp},
		"unavailable":               {Text: "En este momento no se puede comprobar su contraseña. No es culpa suya. Inténtelo de nuevo en un minuto.", Link: linkHelp, Status: http.StatusServiceUnavailable},
		"second_factor_wrong":       {Text: "No era correcto. Cada código vale poco tiempo y una sola vez: pruebe el siguiente."},
		"second_factor_invite":      {Text: "Este código de invitación no es correcto, ya se usó o tiene más de un día. Compruébelo o pida otro."},
		"second_factor_expired":     {Text: "Esta página estuvo abierta demasiado tiempo o ya se usó. Inténtelo una vez más."},
		"second_factor_unconfirmed": {Text: "Es correcto, pero no está confirmado para la consola. Use uno que lo esté."},
		"second_factor_many":        {Text: "Ya tiene tantas como se pueden tener. Quite una primero."},
		"second_factor_last":        {Text: "Es la única que tiene, y se le exige una. Añada otra primero."},
		"too_many_attempts":         {Text: "Hubo demasiados intentos con este nombre de usuario. Espere un cuarto de hora e inténtelo de nuevo.", Link: linkForgot, Status: http.StatusTooManyRequests},
	},

	reasons: map[string]explanation{
		"method_not_allowed": {Title: "Eso no ha funcionado", Text: "Esta dirección no puede usarse de ese modo.", Do: "Empiece de nuevo desde su enlace."},
		"too_large":          {Title: "La solicitud de inicio de sesión es demasiado grande", Text: "{product} u otro servicio envió más de lo que se puede aceptar.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda.", Link: linkHelp},
		"bad_request":        {Title: "La solicitud de inicio de sesión no se puede leer", Text: "El servicio que le envió aquí mandó algo que no es una solicitud válida.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda.", Link: linkHelp},
		"unsigned_request":   {Title: "La solicitud de inicio de sesión no está firmada", Text: "{provider} debe firmar sus solicitudes, y esta no lo estaba.", Do: "Empiece de nuevo desde {provider}. Si vuelve a ocurrir, pida ayuda.", Link: linkHelp},
		"unknown_provider":   {Title: "Servicio desconocido", Text: "El servicio en el que desea iniciar sesión no está configurado aquí.", Do: "Compruebe el enlace que le trajo aquí o pida ayuda.", Link: linkHelp},
		"provider_disabled":  {Title: "El inicio de sesión está desactivado", Text: "Por ahora, el inicio de sesión en {provider} está desactivado.", Do: "Pida ayuda si lo necesita.", Link: linkHelp},
		"metadata_expired":   {Title: "Lo que se sabe del servicio está desactualizado", Text: "Lo que {provider} publicó sobre sí mismo era válido por un tiempo que ya pasó.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"wrong_destination":  {Title: "La solicitud de inicio de sesión es para otra dirección", Text: "El servicio que le envió aquí indica en su solicitud una dirección distinta de esta.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda.", Link: linkHelp},
		"request_time":       {Title: "La solicitud de inicio de sesión ha caducado", Text: "Una solicitud vale solo unos minutos. Esta es más antigua, o los relojes de los dos servicios difieren.", Do: "Empiece de nuevo desde {provider}. Si vuelve a ocurrir, pida ayuda.", Link: linkHelp},
		"replayed_request":   {Title: "Esta solicitud de inicio de sesión ya se usó", Text: "Cada solicitud puede usarse una vez. Esto ocurre cuando se vuelve a cargar una página.", Do: "Empiece de nuevo desde {provider}."},
		"unknown_acs":        {Title: "La respuesta no se puede enviar allí", Text: "La solicitud pide su respuesta en una dirección que no está configurada para este servicio.", Do: "No se envió nada. Pida ayuda.", Link: linkHelp},
		"too_many_sign_ins":  {Title: "Se empezaron demasiados inicios de sesión", Text: "Desde su red se empezaron demasiados y no se terminaron.", Do: "Espere unos minutos y empiece de nuevo.", Link: linkHelp},

		"signature_parameters":   {Title: "La firma de la solicitud está incompleta", Text: "El servicio que le envió aquí firmó su solicitud, y la firma no llegó entera.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda e indique la referencia.", Link: linkHelp},
		"signature_in_xml":       {Title: "La firma de la solicitud está en un lugar equivocado", Text: "El servicio que le envió aquí puso su firma donde no corresponde.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"signature_form":         {Title: "La firma de la solicitud no se puede leer", Text: "El servicio que le envió aquí firmó su solicitud de un modo en el que no se puede confiar.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda e indique la referencia.", Link: linkHelp},
		"signature_algorithm":    {Title: "La firma de la solicitud es demasiado débil", Text: "El servicio que le envió aquí firmó su solicitud de un modo que aquí no se acepta.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"no_signing_certificate": {Title: "No se conoce la firma de la solicitud", Text: "{provider} firma sus solicitudes, y aquí no está configurado cómo comprobarlo.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"bad_signature":          {Title: "La firma de la solicitud no es correcta", Text: "La solicitud se modificó en el camino, o no la envió el servicio que indica.", Do: "Empiece de nuevo desde allí. Si vuelve a ocurrir, pida ayuda e indique la referencia.", Link: linkHelp},

		"no_single_logout": {Title: "Cerrar sesión en todas partes está desactivado", Text: "Un servicio pidió cerrar su sesión aquí, y eso está desactivado.", Do: "Use la página de cierre de sesión de aquí y, en un equipo compartido, cierre el navegador."},
		"unknown_logout":   {Title: "Este cierre de sesión ha terminado", Text: "Ya se completó, o tardó demasiado.", Do: "Cierre la sesión en los servicios que usó y, en un equipo compartido, cierre el navegador.", Link: linkHelp},
		busy:               {Title: "Hay demasiada actividad", Text: "En este momento inician sesión más personas de las que se pueden atender.", Do: "Espere un minuto e inténtelo de nuevo."},

		"no_console_role":     {Title: "Sin acceso a la consola de administración", Text: "Ha iniciado sesión, pero su usuario no está entre los que pueden usar la consola de administración.", Do: "Pida ayuda si lo necesita.", Link: linkHelp},
		"console_session":     {Title: "Su sesión ha terminado", Text: "No se cambió nada: su sesión se cerró, o debe demostrar una vez más que es usted.", Do: "Inicie sesión de nuevo y repita lo que hizo."},
		"console_twice":       {Title: "Este formulario ya se envió", Text: "Se aceptó la primera vez, y nada se hace dos veces.", Do: "Mire si hizo lo que usted quería."},
		"console_role":        {Title: "Esto corresponde a otras personas", Text: "Su función en la consola de administración no lo permite.", Do: "Pídalo a alguien con una función superior."},
		"second_factor_new":   {Title: "Un poco pronto", Text: "{provider} pide un segundo factor, y el suyo se añadió hace poco. Podrá usarlo allí dentro de {wait}.", Do: "Vuelva entonces e inicie sesión de nuevo. Si no lo añadió usted, avise enseguida a su servicio de ayuda.", Link: linkHelp},
		"second_factor_login": {Title: "Inicie sesión otra vez", Text: "{provider} pide un segundo factor. El suyo podrá usarse allí a partir de su próximo inicio de sesión.", Do: "Cierre la sesión aquí y vuelva desde {provider}. Si no lo añadió usted, avise enseguida a su servicio de ayuda.", Link: linkHelp},
		"no_second_factors":   {Title: "Aquí no hay nada que configurar", Text: "Basta su contraseña para entrar, y no se pide nada más.", Do: "Siga con lo que vino a hacer."},
		"no_provider":         {Title: "El inicio de sesión no está configurado", Text: "El inicio de sesión en {product} todavía no está configurado aquí.", Do: "Pida ayuda.", Link: linkHelp},
		"choose_provider":     {Title: "Este enlace no está completo", Text: "Hay más de un servicio en el que iniciar sesión, y el enlace no dice cuál.", Do: "Use el enlace que le dieron para el servicio, o pida ayuda.", Link: linkHelp},
		"unknown_relay_state": {Title: "Este enlace no se puede usar", Text: "El lugar al que lleva el enlace no está permitido.", Do: "Use el enlace que le dieron, o pida ayuda.", Link: linkHelp},

		"unknown_sign_in":   {Title: "Este inicio de sesión ha terminado", Text: "Pasó demasiado tiempo, o el enlace no está completo.", Do: "Empiece de nuevo.", Start: true},
		"other_browser":     {Title: "Este inicio de sesión pertenece a otro navegador", Text: "Se empezó en otro navegador o en otro dispositivo, o se borraron las cookies de su navegador desde entonces.", Do: "Empiece de nuevo en este navegador.", Start: true},
		"name_id_taken":     {Title: "{provider} conoce a otra persona con su nombre", Text: "El nombre con el que iniciaría sesión en {provider} perteneció antes a otra persona. No se envió nada, para que no entre en la cuenta de esa persona.", Do: "Pregunte al servicio de asistencia e indique la referencia.", Link: linkHelp},
		"other_subject":     {Title: "Ha iniciado sesión otra persona", Text: "{provider} pidió a una persona distinta de la que ha iniciado sesión aquí.", Do: "Cierre la sesión aquí e iníciela como esa persona, o vuelva a {provider} y empiece de nuevo.", Link: linkHelp},
		"too_many_attempts": {Title: "Demasiados intentos", Text: "Hubo demasiados intentos con este nombre de usuario.", Do: "Espere un cuarto de hora e inténtelo de nuevo. Si no sabe su contraseña, establezca una nueva.", Link: linkForgot},
		"directory_down":    {Title: "Ahora no se puede comprobar su contraseña", Text: "El directorio que conoce las contraseñas no responde. No es culpa suya, y sus intentos no se cuentan.", Do: "Inténtelo de nuevo en un minuto.", Link: linkHelp},
		"unavailable":       {Title: "Ahora no funciona el inicio de sesión", Text: "Una parte del inicio de sesión no responde. No es culpa suya.", Do: "Inténtelo de nuevo en un minuto.", Link: linkHelp},

		"no_assignment":      {Title: "Todavía no tiene acceso", Text: "Su contraseña es correcta, pero nadie le ha dado acceso a una cuenta de {provider}.", Do: "Pida acceso a las personas que se ocupan de él.", Link: linkHelp},
		"not_this_account":   {Title: "No tiene acceso a esta cuenta", Text: "Tiene acceso a otras cuentas de {provider}, no a la que lleva el enlace.", Do: "Compruebe el enlace, o pregunte a las personas que se ocupan de su acceso.", Link: linkHelp},
		"person_data":        {Title: "Sus datos no son adecuados", Text: "No se puede crear un usuario para usted en {provider}: falta su nombre o su correo electrónico en el directorio, o no son como deben ser.", Do: "Pida a su servicio de asistencia que revise sus datos e indique la referencia.", Link: linkHelp},
		"may_not_create":     {Title: "Todavía no tiene un usuario allí", Text: "{provider} pidió personas que ya tienen un usuario allí, y usted no lo tiene.", Do: "Empiece desde su enlace de este lado: entonces se crea uno para usted.", Link: linkHelp},
		"held_conflict":      {Title: "Hay que revisar su acceso", Text: "{provider} ya tiene un usuario con su nombre o su correo electrónico. Para asegurar que es suyo, alguien debe revisarlo.", Do: "Pida ayuda e indique la referencia. Usted no puede hacer nada más.", Link: linkHelp},
		"refused_by_partner": {Title: "{provider} no le ha aceptado", Text: "{provider} se negó a crear un usuario para usted.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"owner_unknown":      {Title: "Su acceso no está completo", Text: "Figura como titular de esta cuenta, pero todavía no se sabe qué titular es usted en {provider}.", Do: "Pida ayuda e indique la referencia.", Link: linkHelp},
		"account_closed":     {Title: "Esta cuenta está cerrada", Text: "Su cuenta en {provider} se ha cancelado o desactivado, así que nadie puede iniciar sesión en ella.", Do: "Pregunte a las personas que se ocupan de la cuenta e indique la referencia.", Link: linkHelp},
		"user_suspended":     {Title: "Su usuario está detenido por ahora", Text: "Las personas que se ocupan de su acceso han detenido su usuario en {provider}.", Do: "Pídales que lo reanuden e indique la referencia.", Link: linkHelp},
		"no_encryption_key":  {Title: "Su inicio de sesión no se puede proteger", Text: "{provider} debe recibir sus datos cifrados, y aquí falta la clave para ello. No se envió nada.", Do: "Pida ayuda e indique la referencia. Usted no puede hacer nada más.", Link: linkHelp},
		"not_in_group":       {Title: "No tiene acceso", Text: "No está entre las personas que pueden usar {provider}.", Do: "Pregunte a las personas que se ocupan de su acceso.", Link: linkHelp},

		"bad_credentials":  {Title: "Inicie sesión de nuevo", Text: "El nombre de usuario o la contraseña no son correctos.", Do: "Empiece de nuevo y compruebe ambos.", Link: linkForgot},
		"locked":           {Title: "No se puede iniciar su sesión", Text: "Por ahora, el inicio de sesión está bloqueado para usted.", Do: "Espere un poco e inténtelo de nuevo, o pregunte a su servicio de asistencia.", Link: linkHelp},
		"disabled":         {Title: "Su usuario está desactivado", Text: "Ya no puede iniciar sesión con este usuario.", Do: "Pregunte a su servicio de asistencia si no es correcto.", Link: linkHelp},
		"expired":          {Title: "Su usuario ha vencido", Text: "Su usuario ha llegado a su fecha de vencimiento.", Do: "Pida a su servicio de asistencia que la amplíe.", Link: linkHelp},
		"password_expired": {Title: "Su contraseña ha caducado", Text: "Necesita una contraseña nueva antes de iniciar sesión.", Do: "Establezca una nueva y empiece de nuevo.", Link: linkForgot},
		"must_change":      {Title: "Establezca primero su propia contraseña", Text: "Debe establecer una contraseña propia antes de poder iniciar sesión aquí.", Do: "Establezca una y empiece de nuevo.", Link: linkForgot},
		"not_now":          {Title: "No a esta hora", Text: "No tiene permiso para iniciar sesión a esta hora.", Do: "Vuelva en otro momento, o pregunte a su servicio de asistencia.", Link: linkHelp},
		"not_here":         {Title: "No desde aquí", Text: "No tiene permiso para iniciar sesión desde aquí.", Do: "Pregunte a su servicio de asistencia.", Link: linkHelp},
		"ambiguous":        {Title: "Más de una persona tiene este nombre de usuario", Text: "No se puede saber cuál de ellas es usted.", Do: "Use su nombre de usuario completo, o pregunte a su servicio de asistencia.", Link: linkHelp},
		"bad_data":         {Title: "Sus datos no están completos", Text: "Sus datos en el directorio no están completos, por lo que no puede iniciar sesión.", Do: "Pregunte a su servicio de asistencia e indique la referencia.", Link: linkHelp},

		badLink:     {Title: "Este enlace no se puede usar", Text: "No está completo, o se modificó en el camino.", Do: "Use el enlace que le dieron, o pida ayuda.", Link: linkHelp},
		badForm:     {Title: "Eso no se pudo leer", Text: "Lo que envió su navegador no es lo que pide esta página.", Do: "Vuelva atrás e inténtelo de nuevo."},
		staleForm:   {Title: "Esta página estaba desactualizada", Text: "El formulario es de otro momento o de otro navegador. No se hizo nada.", Do: "Inténtelo de nuevo."},
		noCookies:   {Title: "Se necesitan cookies", Text: "Su navegador no envió ninguna cookie. Sin ella, nadie puede iniciar sesión con seguridad.", Do: "Permita las cookies de este sitio e inténtelo de nuevo.", Link: linkHelp},
		crossOrigin: {Title: "Eso vino de otro sitio", Text: "Otro sitio intentó enviar este formulario. No se hizo nada.", Do: "Empiece desde su enlace."},
		wrongHost:   {Title: "Dirección equivocada", Text: "Este servicio no se conoce por la dirección que usó su navegador.", Do: "Use el enlace que le dieron."},
		framed:      {Title: "Abra el enlace por sí solo", Text: "Un inicio de sesión no puede empezar dentro de otra página.", Do: "Abra el enlace en una ventana o pestaña propia."},
		prefetched:  {Title: "Todavía no", Text: "Su navegador pidió esta página antes de tiempo.", Do: "Siga el enlace otra vez."},
		notFound:    {Title: "No existe esa página", Text: "Puede que la dirección esté mal escrita o que el enlace sea antiguo.", Do: "Compruebe la dirección, o use el enlace que le dieron."},
		tooSlow:     {Title: "Ha tardado demasiado", Text: "Una respuesta necesaria no llegó a tiempo. No es culpa suya.", Do: "Inténtelo de nuevo en un minuto.", Link: linkHelp},
		internal:    {Title: "Algo salió mal", Text: "Es un fallo nuestro, no suyo.", Do: "Inténtelo de nuevo. Si vuelve a ocurrir, pida ayuda e indique la referencia.", Link: linkHelp},
	},

	causes: map[string]string{
		"":                "Se está creando su usuario.",
		"key_switch":      "Ha iniciado sesión. No necesita hacer nada.",
		"queued":          "Su usuario espera a ser creado.",
		"sending":         "{product} está creando su usuario ahora.",
		"throttled":       "{product} está ocupado. Su usuario se crea en cuanto acepte solicitudes de nuevo.",
		"quota":           "{product} no acepta más usuarios nuevos hoy. El suyo se crea cuando empiece su nuevo día.",
		"unreachable":     "{product} no responde en este momento. Se le pregunta una y otra vez hasta que lo haga.",
		"credentials":     "{product} no nos deja entrar en este momento. Quienes operan este servicio pueden verlo, y se vuelve a intentar.",
		"unknown_outcome": "{product} todavía no ha confirmado su usuario. Se le pregunta de nuevo.",
	},

	services: map[string]string{
		"waiting":     "pendiente de aviso",
		"asked":       "sin respuesta hasta ahora",
		"done":        "sesión cerrada",
		"failed":      "no pudo cerrar su sesión: ciérrela allí",
		"no_answer":   "no respondió: cierre la sesión allí",
		"skipped":     "omitido: puede seguir con la sesión abierta allí",
		"unreachable": "no se le puede avisar desde aquí: cierre la sesión allí",
	},
	roles: map[store.Role]string{
		store.AccountManager:  "Administrador de la cuenta",
		store.CampaignCreator: "Creador de campañas",
		store.Owner:           "Titular de la cuenta",
	},

	duration: func(d time.Duration) string {
		switch {
		case d < 10*time.Second:
			return "unos segundos"
		case d < time.Minute:
			return "menos de un minuto"
		case d < 90*time.Second:
			return "alrededor de un minuto"
		case d < time.Hour:
			return fmt.Sprintf("unos %d minutos", int(d.Round(time.Minute)/time.Minute))
		case d < 90*time.Minute:
			return "alrededor de una hora"
		case d < 48*time.Hour:
			return fmt.Sprintf("unas %d horas", int(d.Round(time.Hour)/time.Hour))
		}
		return fmt.Sprintf("unos %d días", int(d.Round(24*time.Hour)/(24*time.Hour)))
	},
}
